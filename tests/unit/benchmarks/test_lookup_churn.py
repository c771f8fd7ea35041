"""When memory counts as flat."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from benchmarks.lookup_churn import ChurnReport, Look, as_json
from benchmarks.lookup_load.generator import Load
from benchmarks.machine import Machine

MIB = 2**20
LOAD = Load(100, 0, 0, 1.0, 100.0, 1, 1, 2, 3, 4, 5, 6)


def report(rss_mib: Sequence[float], cache_bytes: int = 10) -> ChurnReport:
    looks = tuple(Look(at * 30.0, round(rss * MIB), cache_bytes, 1) for at, rss in enumerate(rss_mib))
    return ChurnReport(Machine("a processor", 2, 24, "6", 0.0, 0.0), 1000, 100, LOAD, looks)


@pytest.mark.parametrize(
    ("rss_mib", "flat"),
    [
        ([10, 100, 100, 100, 101, 100, 100], True),  # the first minute does not count
        ([10, 50, 100, 101, 102, 102, 102], True),
        ([10, 50, 100, 102, 104, 106, 108], False),
    ],
)
def test_memory_is_flat_if_it_does_not_grow_after_a_minute(rss_mib: Sequence[float], flat: bool) -> None:
    assert report(rss_mib).is_flat is flat


def test_a_cache_over_its_limit_is_not_flat() -> None:
    found = report([100] * 8, cache_bytes=101)
    assert (found.growth, found.is_flat, as_json(found)["flat"]) == (0, False, False)
