"""Which processes were started again, as supervisord's own log tells it."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from instrument_cache.clock import FakeClock
from instrument_cache.doctor.restarts_part import look_at_restarts, starts_in

LOG = """\
2025-11-21 11:00:00,000 INFO supervisord started with pid 10
2025-11-21 11:00:01,000 INFO spawned: 'kafka' with pid 11
2025-11-21 11:30:01,000 INFO spawned: 'kafka' with pid 12
2025-11-21 11:59:00,000 INFO supervisord started with pid 20
2025-11-21 11:59:01,000 INFO spawned: 'kafka' with pid 21
2025-11-21 11:59:01,250 INFO spawned: 'redis' with pid 22
2025-11-21 11:59:02,250 INFO success: redis entered RUNNING state, process has stayed up for > than 1 seconds
2025-11-21 12:00:00,000 WARN exited: kafka (terminated by SIGKILL; not expected)
2025-11-21 12:00:00,500 INFO spawned: 'kafka' with pid 23
"""


def at(text: str) -> FakeClock:
    """A moment in the time of this machine, in which supervisord writes."""
    return FakeClock(int(datetime.fromisoformat(text).timestamp() * 1e6))


def test_only_what_was_started_again_since_the_supervisor_came_up_is_told(tmp_path: Path) -> None:
    log = tmp_path / "supervisor.log"
    log.write_text(LOG)
    (found,) = look_at_restarts(log, at("2025-11-21 12:00:10.500"))
    assert (found.part, found.severity) == ("kafka", "warn")
    assert found.sentence == "kafka was started again 10 s ago (1 times since the stack is up)"
    assert {name: starts.again for name, starts in starts_in(LOG).items()} == {"kafka": 1, "redis": 0}


def test_what_is_long_ago_is_over(tmp_path: Path) -> None:
    log = tmp_path / "supervisor.log"
    log.write_text(LOG)
    (found,) = look_at_restarts(log, at("2025-11-21 12:06:00"))
    assert (found.part, found.severity) == ("processes", "ok")
    assert "2 are supervised" in found.sentence


def test_a_log_that_is_not_there_says_so(tmp_path: Path) -> None:
    (found,) = look_at_restarts(tmp_path / "none", at("2025-11-21 12:00:00"))
    assert (found.part, found.severity) == ("processes", "warn")
    assert "ICACHE_DOCTOR_SUPERVISOR_LOG" in found.why
