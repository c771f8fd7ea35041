"""The health gate: watches a release for its first minute and says whether it may stay."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final

from instrument_cache.errors import InstrumentCacheError, Unavailable
from instrument_cache.flink_rest import FlinkRest
from instrument_cache.settings import Environment

_POLL_S: Final = 1.0
_CAUSE_S: Final = 5.0
# How long Flink or Redis may be out of reach: what cannot be seen is not healthy.
_BLIND_S_MAX: Final = 20.0
# A checkpoint that is under way when the gate ends gets this long.
_CHECKPOINT_GRACE_S: Final = 30.0
# Flink's metrics are up to 10 s old; over twice that they tell a stall from a look between two of them.
_STALL_S: Final = 20.0
# Shares of fewer records, and lags of fewer, say nothing.
_RECORDS_MIN: Final = 200
_LAG_MIN: Final = 1000
Counters = Callable[[], Mapping[str, int]]
_OUTCOMES: Final = ("applied", "duplicate", "stale", "superseded", "rejected")


@dataclass(frozen=True, slots=True)
class GateLimits:
    """`gate_s` seconds are watched. Rejects may be `reject_percent_max` points above the share before."""

    gate_s: float
    reject_percent_max: float


@dataclass(frozen=True, slots=True)
class Look:
    """One look at the job and at the counters. `pending` records wait in the log; None: Flink does not say yet."""

    at_s: float
    state: str
    failure: str | None
    restarts: int
    checkpoints: int
    pending: int | None
    counters: Mapping[str, int]

    @property
    def counted(self) -> int:
        """Records that the store has settled, those of a replay included: it moves whenever the job works."""
        return self.settled + self.counters.get("replayed", 0)

    @property
    def settled(self) -> int:
        return sum(self.counters.get(outcome, 0) for outcome in _OUTCOMES)

    @property
    def rejected(self) -> int:
        return self.counters.get("rejected", 0)


def gate_limits(env: Environment) -> GateLimits:
    """The settings of the gate."""
    return GateLimits(
        gate_s=env.integer("ICACHE_UPGRADE_GATE_S", default=60, low=5, high=600),
        reject_percent_max=env.integer("ICACHE_UPGRADE_REJECT_PERCENT_MAX", default=5, low=0, high=100),
    )


def watch(
    rest: FlinkRest,
    job_id: str,
    counters: Counters,
    before: Mapping[str, int],
    limits: GateLimits,
) -> str | None:
    """Look once a second until the gate's time is over. Returns None if the job may stay, else why not.

    `before` are the counters at the moment when the job's predecessor had stopped.
    """
    began_s = seen_s = time.monotonic()
    looks: list[Look] = []
    while True:
        now_s = time.monotonic()
        try:
            looks.append(_look(rest, job_id, counters, now_s))
            seen_s = now_s
        except Unavailable as error:
            if now_s - seen_s > _BLIND_S_MAX:
                return f"it cannot be judged: {error}"
        if looks and broken(looks[-1], before, limits):
            return broken(_with_cause(rest, job_id, looks[-1]), before, limits)
        waited_s = now_s - began_s
        done = bool(looks) and (looks[-1].checkpoints > 0 or waited_s >= limits.gate_s + _CHECKPOINT_GRACE_S)
        if waited_s >= limits.gate_s and done:
            return unhealthy(looks, before)
        time.sleep(_POLL_S)


def _look(rest: FlinkRest, job_id: str, counters: Counters, now_s: float) -> Look:
    job = next((job for job in rest.jobs() if job.job_id == job_id), None)
    if job is None:
        return Look(now_s, "UNKNOWN", "Flink forgot it: its JobManager was started anew", 0, 0, None, {})
    detail = rest.job(job_id)
    return Look(
        at_s=now_s,
        state=job.state,
        failure=rest.failure(job_id),
        restarts=detail.restarts,
        checkpoints=rest.checkpoints(job_id).completed,
        pending=rest.pending_records(job_id),
        counters=counters(),
    )


def _with_cause(rest: FlinkRest, job_id: str, look: Look) -> Look:
    """Flink says why a job failed some seconds after it says that it did."""
    deadline_s = time.monotonic() + _CAUSE_S
    while look.state != "RUNNING" and look.failure is None and time.monotonic() < deadline_s:
        time.sleep(_POLL_S)
        with suppress(InstrumentCacheError):
            look = replace(look, failure=rest.failure(job_id))
    return look


def broken(look: Look, before: Mapping[str, int], limits: GateLimits) -> str | None:
    """What is reason enough at any moment: a failure, a restart, too many rejects."""
    if look.failure is not None or look.restarts > 0:
        return f"the job failed and is {look.state}: {look.failure or 'it was restarted'}"
    if look.state != "RUNNING":
        return f"the job is {look.state} and should be RUNNING"
    return _rejects(look, before, limits.reject_percent_max)


def _rejects(look: Look, before: Mapping[str, int], percent_max: float) -> str | None:
    settled_before = sum(before.get(outcome, 0) for outcome in _OUTCOMES)
    settled, rejected = look.settled - settled_before, look.rejected - before.get("rejected", 0)
    if settled < _RECORDS_MIN:
        return None
    usual = 100 * before.get("rejected", 0) / settled_before if settled_before else 0.0
    share = 100 * rejected / settled
    if share <= usual + percent_max:
        return None
    return (
        f"it rejects {share:.1f} % of {settled} records; before it were {usual:.1f} %, and {percent_max:g} more may be"
    )


def unhealthy(looks: list[Look], before: Mapping[str, int]) -> str | None:
    """What only the whole time shows: no checkpoint, a standstill, a growing lag."""
    last = looks[-1]
    if last.checkpoints == 0:
        return f"it completed no checkpoint within {last.at_s - looks[0].at_s:.0f} s"
    return _stands_still(looks, before) or _falls_behind(looks)


def _stands_still(looks: list[Look], before: Mapping[str, int]) -> str | None:
    last = looks[-1]
    earlier = [look.counted for look in looks if last.at_s - look.at_s >= _STALL_S]
    since = earlier[-1] if earlier else sum(before.get(name, 0) for name in (*_OUTCOMES, "replayed"))
    if not last.pending or last.counted > since:
        return None
    return f"it makes no progress: {last.pending} records wait, and none was settled"


def _falls_behind(looks: list[Look]) -> str | None:
    lags = [look.pending for look in looks if look.pending is not None]
    if not lags or lags[-1] <= max(lags[0], _LAG_MIN):
        return None
    return f"its lag grows: {lags[0]} records waited at first, {lags[-1]} in the end"
