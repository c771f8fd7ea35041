"""Recovery from samples: how long nothing moved, and when the rate was back."""

from __future__ import annotations

import pytest

from benchmarks.recovery import Sample, recovery_of
from instrument_cache.errors import InstrumentCacheError


def samples(*pieces: tuple[float, float]) -> list[Sample]:
    """Pieces of (seconds, records per second), read ten times a second."""
    found, at_s, done = [Sample(0.0, 0)], 0.0, 0.0
    for seconds, rate in pieces:
        for _ in range(round(seconds * 10)):
            at_s, done = at_s + 0.1, done + rate / 10
            found.append(Sample(round(at_s, 1), round(done)))
    return found


def test_a_standstill_and_a_slow_start_are_told_apart() -> None:
    found = recovery_of(samples((5, 1000), (4, 0), (3, 500), (10, 1000)), killed_at_s=5.0)
    assert found.rate_before == pytest.approx(1000)
    assert found.standstill_s == pytest.approx(4.1, abs=0.15)
    # Three seconds at 90 %: the slow start may fill a fifth of them.
    assert found.back_s == pytest.approx(6.4, abs=0.2)
    assert found.rate_after == pytest.approx(1000, rel=0.01)


def test_a_rate_that_does_not_come_back_is_told() -> None:
    found = recovery_of(samples((5, 1000), (2, 0), (10, 800)), killed_at_s=5.0)
    assert found.back_s is None
    assert found.rate_after == pytest.approx(800, rel=0.01)


def test_a_log_that_ended_before_the_kill_is_an_error() -> None:
    with pytest.raises(InstrumentCacheError, match="more --rows"):
        recovery_of(samples((5, 1000)), killed_at_s=99.0)
