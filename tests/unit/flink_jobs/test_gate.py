"""The gate's judgement, look by look."""

from __future__ import annotations

import re
from typing import Any

import pytest

from flink_jobs.launch import gate
from flink_jobs.launch.gate import GateLimits, Look, broken, unhealthy, watch
from instrument_cache.flink_rest import FlinkRest
from tests.unit.plugins.fake_flink import FakeFlink

LIMITS = GateLimits(gate_s=60, reject_percent_max=5)
BEFORE = {"applied": 9900, "rejected": 100}


def look(at_s: float = 0, **changes: Any) -> Look:
    """A healthy job that has settled 1000 records more than before."""
    values: dict[str, Any] = {
        "state": "RUNNING",
        "failure": None,
        "restarts": 0,
        "checkpoints": 1,
        "pending": 0,
        "counters": {"applied": 10_890, "rejected": 110},
    }
    return Look(at_s=at_s, **{**values, **changes})


def test_a_healthy_job_stays() -> None:
    assert broken(look(), BEFORE, LIMITS) is None
    assert unhealthy([look(0), look(60)], BEFORE) is None


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"failure": "RuntimeError: planted", "state": "RESTARTING"}, "is RESTARTING: RuntimeError: planted"),
        ({"restarts": 1}, "it was restarted"),
        ({"state": "CANCELED"}, "is CANCELED and should be RUNNING"),
        ({"counters": {"applied": 10_800, "rejected": 200}}, r"rejects 10\.0 % of 1000 records; before it were 1\.0 %"),
    ],
)
def test_is_broken_at_once(changes: dict[str, Any], reason: str) -> None:
    assert re.search(reason, str(broken(look(**changes), BEFORE, LIMITS)))


@pytest.mark.parametrize(
    "counters",
    [
        {"applied": 10_840, "rejected": 160},  # 6 %: one usual and five more
        {"applied": 9900, "rejected": 299},  # all of them, but too few to say
        {"applied": 9900, "rejected": 100, "replayed": 5000},  # a replay settles nothing anew
    ],
)
def test_rejects_within_the_limit_pass(counters: dict[str, int]) -> None:
    assert broken(look(counters=counters), BEFORE, LIMITS) is None


def test_every_reject_counts_where_nothing_ran_before() -> None:
    assert "rejects 100.0 %" in str(broken(look(counters={"rejected": 200}), {}, LIMITS))


def test_no_checkpoint_is_unhealthy() -> None:
    assert "no checkpoint within 60 s" in str(unhealthy([look(0), look(60, checkpoints=0)], BEFORE))


def test_records_that_wait_while_none_is_settled_are_a_standstill() -> None:
    looks = [look(at_s, pending=500) for at_s in range(0, 61, 10)]
    assert "no progress: 500 records wait" in str(unhealthy(looks, BEFORE))
    still_working = [*looks[:-1], look(60, pending=500, counters={"applied": 10_900, "rejected": 110})]
    assert unhealthy(still_working, BEFORE) is None


def test_a_silent_source_is_no_standstill() -> None:
    assert unhealthy([look(at_s, counters=BEFORE) for at_s in range(0, 61, 10)], BEFORE) is None
    assert unhealthy([look(at_s, counters=BEFORE, pending=None) for at_s in range(0, 61, 10)], BEFORE) is None


def test_a_short_gate_compares_with_the_time_before_it() -> None:
    """Flink's lag is up to 10 s old: what it says of a backlog may be past."""
    assert unhealthy([look(0, pending=500), look(5, pending=500)], BEFORE) is None
    assert "no progress" in str(unhealthy([look(0, pending=500, counters=BEFORE)] * 2, BEFORE))


def test_a_replay_is_progress() -> None:
    looks = [look(0, counters=BEFORE, pending=900), look(30, counters={**BEFORE, "replayed": 9}, pending=800)]
    assert unhealthy(looks, BEFORE) is None


@pytest.mark.parametrize(
    ("lags", "grows"), [((0, 1001), True), ((5000, 5001), True), ((5000, 10), False), ((0, 1000), False)]
)
def test_a_growing_lag_is_unhealthy(lags: tuple[int, int], grows: bool) -> None:
    looks = [look(0, pending=None), look(1, pending=lags[0]), look(60, pending=lags[1], counters={"applied": 99_999})]
    assert ("its lag grows" in str(unhealthy(looks, BEFORE))) is grows


def test_watch_passes_a_healthy_job_and_fails_one_that_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "_POLL_S", 0.01)
    limits = GateLimits(gate_s=0.05, reject_percent_max=5)
    with FakeFlink() as fake, FlinkRest(fake.url) as rest:
        fake.add("j1")
        assert watch(rest, "j1", lambda: BEFORE, BEFORE, limits) is None
        assert "Flink forgot it" in str(watch(rest, "j2", lambda: BEFORE, BEFORE, limits))


def test_watch_gives_up_a_job_that_it_cannot_see(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "_POLL_S", 0.01)
    monkeypatch.setattr(gate, "_BLIND_S_MAX", 0.05)
    with FakeFlink() as fake, FlinkRest(fake.url) as rest:
        fake.status = 503
        assert "cannot be judged" in str(watch(rest, "j1", lambda: BEFORE, BEFORE, LIMITS))
