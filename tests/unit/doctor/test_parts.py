"""What each part says of states that are hard to bring about."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from feed.report import write_state
from instrument_cache.clock import FakeClock
from instrument_cache.doctor.feed_part import look_at_feed
from instrument_cache.doctor.flink_part import _why
from instrument_cache.doctor.model import Finding
from instrument_cache.doctor.operations_part import _MENDS
from instrument_cache.doctor.proof_part import _backup, _equality, _others
from instrument_cache.doctor.redis_part import _of_info
from instrument_cache.doctor.text import bytes_text, duration
from instrument_cache.feed_state import FeedState
from instrument_cache.reports import Summary
from local_stack.instance import PROJECT

NOW_S = 1_763_674_000.0
INFO: dict[str, Any] = {"used_memory": 1000, "maxmemory": 0, "role": "master", "aof_enabled": 1}


def report(ok: bool = True, hour: int = 21, **numbers: float) -> Summary:
    """NOW_S is 21:26:40."""
    return Summary("run", f"2025-11-20T{hour}:26:40+00:00", ok, "It is told.", numbers)


@pytest.mark.parametrize(
    ("info", "severity", "says"),
    [
        ({"maxmemory": 1000}, "red", "every write is refused"),
        ({"maxmemory": 1050}, "warn", "uses 1.0 kB of its maxmemory"),
        (
            {"role": "slave", "master_host": "h", "master_port": 1, "master_link_status": "down"},
            "red",
            "replica of h:1",
        ),
        ({"aof_last_write_status": "err"}, "red", "append-only file (err)"),
        ({"aof_enabled": 0, "rdb_last_bgsave_status": "err"}, "red", "snapshot (err)"),
    ],
)
def test_redis_that_refuses_writes(info: dict[str, Any], severity: str, says: str) -> None:
    (found,) = _of_info(INFO | info)
    assert (found.part, found.severity) == ("redis", severity)
    assert says in found.sentence
    assert found.why
    assert found.mend


def test_redis_that_is_well_has_nothing_to_tell() -> None:
    assert list(_of_info(INFO | {"maxmemory": 2000, "aof_last_write_status": "ok"})) == []


@pytest.mark.parametrize(
    ("newest", "severity", "says"),
    [
        (None, "warn", "never proved"),
        (report(), "ok", "It is told. (0 s ago)"),
        (report(open=3), "red", "It is told."),
        (report(ok=False), "red", "It is told."),
        (report(hour=18), "red", "is 3.0 h old; 2.5 h are allowed"),
    ],
)
def test_equality_needs_a_proof_that_is_young_and_leaves_nothing_open(
    newest: Summary | None, severity: str, says: str
) -> None:
    found = _equality(newest, NOW_S, 9000)
    assert (found.part, found.severity) == ("equality", severity)
    assert says in found.sentence


@pytest.mark.parametrize(
    ("newest", "severity", "says"),
    [
        (None, "warn", "no report of a backup"),
        (report(), "ok", "It is told. (0 s ago)"),
        (report(ok=False), "red", "It is told."),
        (report(hour=19), "red", "is 2.0 h old; 60 min are allowed"),
    ],
)
def test_a_backup_must_be_good_and_young(newest: Summary | None, severity: str, says: str) -> None:
    found = _backup(newest, NOW_S, 3600)
    assert (found.part, found.severity) == ("backup", severity)
    assert says in found.sentence


def test_only_bad_reports_of_other_operations_are_told() -> None:
    (found,) = _others({"dr_drill": report(ok=False), "restore": report(), "reconcile": report(ok=False)})
    assert (found.part, found.severity, found.runbook) == ("dr-drill", "warn", "dr_drill")


def look(path: Path, state: FeedState, age_s: float = 0) -> list[Finding]:
    write_state(state, path)
    return list(look_at_feed(path, FakeClock(state.updated_at + round(age_s * 1e6))))


@pytest.mark.parametrize(
    ("state", "severity", "says"),
    [
        (FeedState(phase="live"), "ok", "is live"),
        (FeedState(phase="disconnected"), "red", "disconnected from its source"),
        (FeedState(phase="snapshot"), "warn", "not live yet: snapshot"),
        (FeedState(phase="live", sweep_refused=7), "red", "refused to delete 7 instruments"),
    ],
)
def test_what_the_feed_tells(tmp_path: Path, state: FeedState, severity: str, says: str) -> None:
    state.heard_at = FUTURE_US
    (found,) = look(tmp_path / "feed.json", state)
    assert (found.part, found.severity) == ("feed", severity)
    assert says in found.sentence


FUTURE_US = 4_000_000_000_000_000


def test_a_feed_that_is_silent_hangs_or_was_never_there(tmp_path: Path) -> None:
    path = tmp_path / "feed.json"
    assert "tells nothing" in next(iter(look_at_feed(path, FakeClock()))).sentence
    assert "has told nothing for 20 s" in look(path, FeedState(phase="live"), age_s=20)[0].sentence
    assert "heard nothing of its source" in look(path, FeedState(phase="live"))[0].sentence


def test_a_feed_that_was_started_again_is_told_from_one_that_was_started(tmp_path: Path) -> None:
    path = tmp_path / "feed.json"
    write_state(state := FeedState(phase="live", heard_at=FUTURE_US), path)
    state.started_at = state.updated_at
    assert [found.severity for found in look(path, state)] == ["ok"]
    state.unchanged = 5
    (found,) = look(path, state, age_s=8)
    assert found.severity == "warn"
    assert "started again 8 s ago" in found.sentence


def test_the_cause_of_a_failure_leads_to_who_failed() -> None:
    assert "TaskManager" in _why("TimeoutException: The heartbeat of TaskManager with id localhost timed out.")
    assert "Python worker" in _why("RuntimeException: Failed to close remote bundle")


@pytest.mark.parametrize(
    ("found", "text"),
    [
        (duration(0.4), "0 s"),
        (duration(119), "119 s"),
        (duration(3600), "60 min"),
        (duration(7200), "2.0 h"),
        (duration(172_800), "2.0 days"),
        (bytes_text(12), "12 B"),
        (bytes_text(1500), "1.5 kB"),
        (bytes_text(2e9), "2.0 GB"),
        (bytes_text(3e15), "3000.0 TB"),
    ],
)
def test_numbers_as_people_read_them(found: str, text: str) -> None:
    assert found == text


def test_every_runbook_that_a_finding_names_is_there() -> None:
    pages = {path.stem for path in (PROJECT / "docs" / "runbook").glob("*.md")}
    text = " ".join(path.read_text() for path in (PROJECT / "instrument_cache" / "doctor").glob("*_part.py"))
    named = {page for page in pages if f'"{page}"' in text}
    assert {"freshness", "stream_instruments", "cache_reconcile", "cache_backup", "failover_drill"} <= named
    assert {mend.runbook for mend in _MENDS.values()} <= pages
