"""Whatever a source's version counts, the change record carries 16 digits, and the job takes it."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from instrument_cache.change import ChangeDecoder
from instrument_cache.clock import FakeClock
from instrument_cache.contract import Contract, VersionUnit
from instrument_cache.errors import RejectedChange
from instrument_cache.records import RecordMaker
from instrument_cache.source.interface import Put

NOW = 1_763_674_000_123_456
APPLE = "037833100"


def version_of_put(contract: Contract, unit: VersionUnit, version: object) -> int:
    contract = replace(contract, version_unit=unit)
    row = json.dumps({"cusip": APPLE, "last_updated": version}).encode()
    value = RecordMaker(contract, "test").put(Put(APPLE, row, NOW, position=42), NOW)
    return int(ChangeDecoder(contract, FakeClock(NOW)).decode(value).stored[5:21])


@pytest.mark.parametrize(
    ("unit", "version", "expected"),
    [
        (VersionUnit.MICROSECONDS, NOW, NOW),
        (VersionUnit.MILLISECONDS, 1_763_674_000_123, 1_763_674_000_123_000),
        (VersionUnit.SECONDS, 1_763_674_000, 1_763_674_000_000_000),
        (VersionUnit.LOG_POSITION, 7, 10**15 + 7),
        (VersionUnit.SECONDS, None, NOW),
        (VersionUnit.LOG_POSITION, None, 10**15 + 42),
    ],
)
def test_a_put_carries_16_digits(contract: Contract, unit: VersionUnit, version: object, expected: int) -> None:
    assert version_of_put(contract, unit, version) == expected


@pytest.mark.parametrize(
    ("unit", "version"),
    [
        (VersionUnit.MILLISECONDS, NOW),
        (VersionUnit.SECONDS, 1_763_674_000_123),
        (VersionUnit.LOG_POSITION, 10**16),
        (VersionUnit.LOG_POSITION, -1),
        (VersionUnit.MILLISECONDS, 1_763_674_000_123.5),
        (VersionUnit.SECONDS, "1763674000"),
    ],
)
def test_a_number_of_another_unit_is_rejected_by_the_job(
    contract: Contract, unit: VersionUnit, version: object
) -> None:
    with pytest.raises(RejectedChange) as caught:
        version_of_put(contract, unit, version)
    assert caught.value.code == "invalid_version"
