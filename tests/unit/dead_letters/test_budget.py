"""The budget's bounds and its pace."""

from __future__ import annotations

import math

import pytest

from instrument_cache.dead_letters.budget import Budget, paced
from instrument_cache.errors import DeadLetterError


class Time:
    """Time that passes only by sleeping, or by hand."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def now(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds


@pytest.mark.parametrize("count_max", [0, -1, 100_001])
def test_the_count_has_bounds(count_max: int) -> None:
    with pytest.raises(DeadLetterError, match="must be from 1 to 100000"):
        Budget(count_max=count_max)


@pytest.mark.parametrize("rate", [0.0, -1.0, math.nan, math.inf, 100_001.0])
def test_the_rate_has_bounds(rate: float) -> None:
    with pytest.raises(DeadLetterError, match="must be above 0"):
        Budget(rate_per_s=rate)


def test_items_come_at_the_rate() -> None:
    time = Time()
    moments = [round(time.now() - 100, 6) for _ in paced(range(5), 4.0, time.now, time.sleep)]
    assert moments == [0.0, 0.25, 0.5, 0.75, 1.0]


def test_lost_time_is_not_made_up_for_by_a_burst() -> None:
    time, moments = Time(), []
    for item in paced(range(4), 1.0, time.now, time.sleep):
        moments.append(time.now() - 100)
        time.sleep(10 if item == 0 else 0)
    assert moments == [0, 10, 11, 12]
