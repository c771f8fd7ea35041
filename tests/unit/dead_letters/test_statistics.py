"""Letters counted."""

from __future__ import annotations

import json

import pytest

from instrument_cache.dead_letters.statistics import count, reject_share
from tests.unit.dead_letters.letters import HOUR_US, NOW_US, letter


def test_letters_are_counted_by_code_hour_partition_and_state() -> None:
    letters = [
        (letter(0), "open"),
        (letter(1, b"12345", partition=3), "replayed"),
        (letter(2, code="too_large", time_us=NOW_US + HOUR_US), "open"),
        (letter(3, code="foreign", topic="instruments.dead-letter", partition=7), "open"),
    ]
    found = json.loads(json.dumps(count(letters).as_json()))
    assert found["letters"] == 4
    assert found["value_bytes"] == 3 * len(b"{broken") + 5
    assert (found["oldest_us"], found["newest_us"]) == (NOW_US, NOW_US + HOUR_US)
    assert found["by_code"] == {"malformed_json": 2, "too_large": 1, "foreign": 1}
    assert found["share_by_code"] == {"malformed_json": 0.5, "too_large": 0.25, "foreign": 0.25}
    assert found["by_hour"] == {"2025-11-20T21": 3, "2025-11-20T22": 1}
    assert found["by_partition"] == {"0": 2, "3": 1}
    assert found["by_state"] == {"open": 3, "replayed": 1}


def test_no_letters_are_counted_too() -> None:
    found = count([]).as_json()
    assert (found["letters"], found["oldest_us"], found["share_by_code"]) == (0, None, {})


@pytest.mark.parametrize(
    ("counters", "share"),
    [({}, None), ({"applied": 3, "rejected": 1, "ties": 50}, 0.25), ({"rejected": 2}, 1.0), ({"stale": 1}, 0.0)],
)
def test_the_share_of_all_records(counters: dict[str, int], share: float | None) -> None:
    assert reject_share(counters) == share
