"""Recovery from samples: how long nothing moved, and when the rate was back."""

from __future__ import annotations

import io
import json

import pytest
from rich.console import Console

from benchmarks.machine import Machine
from benchmarks.recovery import Recovery, RecoveryReport, Sample, as_json, recovery_of, show
from benchmarks.workload import Check
from instrument_cache.errors import InstrumentCacheError

IDLE = Machine(cpu="X", cores=2, memory_gb=8, kernel="6", load_1_min=0.1, busy_cores=0.02)


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


def test_table_and_json_tell_a_recovery_that_did_not_come() -> None:
    recovery = Recovery(rate_before=1000.0, standstill_s=4.0, back_s=None, rate_after=800.0)
    report = RecoveryReport(IDLE, 1000, 2, recovery, Check(900, 0, 0, 0), outcomes_add_up=False, others_cores=0.5)
    output = io.StringIO()
    show(report, Console(file=output, width=120))
    for text in ("the log ended before", "until 90%", "NO", "WARNING", "WRONG"):
        assert text in output.getvalue()
    told = json.loads(json.dumps(as_json(report)))
    assert (told["back_s"], told["standstill_s"], told["exact"], told["machine"]["was_idle"]) == (
        None,
        4.0,
        False,
        False,
    )
