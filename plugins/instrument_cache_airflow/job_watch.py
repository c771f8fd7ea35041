"""One look at Flink, and the judgement of many looks in a row. No Airflow in it, and no clock."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from instrument_cache.errors import InstrumentCacheError, Unavailable

if TYPE_CHECKING:
    from instrument_cache.flink_rest import FlinkRest, Job


class Stalls(Protocol):
    """Knows whether the dataset's job applies anything (see `stall_watch`)."""

    uptime_s_min: float

    def look(self) -> str | None: ...


class Launchers(Protocol):
    """Knows whether somebody stops or starts the dataset's job on purpose (see `launchers`)."""

    def at_work(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class Sighting:
    """What one look showed: an error, or the dataset's jobs.

    `standstill` is what a running job has stopped to do. `launcher_at_work`: what becomes of the job now is wanted.
    """

    running: tuple[Job, ...] = ()
    ended: Job | None = None
    failure: str | None = None
    checkpoint_age_s: float = 0.0
    standstill: str | None = None
    error: str | None = None
    launcher_at_work: bool = False

    def __str__(self) -> str:
        if self.error is not None:
            return self.error
        if not self.running and self.launcher_at_work:
            return "no job runs, and a launcher is at work"
        if not self.running:
            return _epitaph(self.ended, self.failure)
        return "; ".join(f"job {job.name} ({job.job_id}) is {job.state}" for job in self.running)


@dataclass(frozen=True, slots=True)
class Incident:
    """Why watching ends, with a sentence.

    kind is `unreachable`, `gone`, `duplicate`, `replaced`, `stalled` (no checkpoint) or `standing` (applies nothing).
    """

    kind: str
    message: str


def look(
    flink: FlinkRest, name_prefix: str, stalls: Stalls | None = None, launchers: Launchers | None = None
) -> Sighting:
    """Look at the jobs whose name begins so. Never raises for what Flink does or does not answer."""
    try:
        sighting = _look(flink, name_prefix, stalls)
        return replace(sighting, launcher_at_work=launchers.at_work()) if launchers else sighting
    except InstrumentCacheError as error:
        return Sighting(error=str(error))


def _look(flink: FlinkRest, name_prefix: str, stalls: Stalls | None) -> Sighting:
    jobs = flink.jobs(name_prefix)
    running = tuple(job for job in jobs if not job.has_ended)
    if len(running) == 1:
        job = running[0]
        age_s = flink.checkpoints(job.job_id).age_s(job)
        return Sighting(running, checkpoint_age_s=age_s, standstill=_standstill(flink, job, stalls))
    if running:
        return Sighting(running)
    ended = jobs[0] if jobs else None
    failure = flink.failure(ended.job_id) if ended and ended.state == "FAILED" else None
    return Sighting(ended=ended, failure=failure)


def _standstill(flink: FlinkRest, job: Job, stalls: Stalls | None) -> str | None:
    """A job that restarts, or has only just begun, is not called still: Flink is at work on it."""
    found = stalls.look() if stalls else None
    if stalls is None or found is None or flink.job(job.job_id).uptime_ms < stalls.uptime_s_min * 1000:
        return None
    return found


class JobWatch:
    """Tells an incident from a hiccup: each kind of trouble has to last for a while. Times in seconds."""

    def __init__(
        self, *, gone_s: float, unreachable_s: float, checkpoint_age_s_max: float, job_id: str | None = None
    ) -> None:
        self._patience_s = {"unreachable": unreachable_s, "gone": gone_s, "duplicate": gone_s, "replaced": 0.0}
        self._patience_s["standing"] = 0.0  # it was watched for long enough before it was said
        # A job that was stalled when the watch began gets the same time again, or launches would chase each other.
        self._patience_s["stalled"] = checkpoint_age_s_max
        self._checkpoint_age_s_max = checkpoint_age_s_max
        self._job_id = job_id
        self._suspected: str | None = None
        self._since_s = 0.0
        self._began_s: float | None = None

    def judge(self, sighting: Sighting, now_s: float) -> Incident | None:
        """`now_s` is any clock that never goes back. None: go on watching."""
        self._began_s = now_s if self._began_s is None else self._began_s
        suspicion = self._suspect(sighting)
        kind = suspicion.kind if suspicion else None
        if kind != self._suspected:
            # A stall shows only once it has lasted long enough, so its time runs from the beginning of the watch.
            self._suspected, self._since_s = kind, self._began_s if kind == "stalled" else now_s
        if suspicion is None or now_s - self._since_s < self._patience_s[suspicion.kind]:
            return None
        return suspicion

    def _suspect(self, sighting: Sighting) -> Incident | None:
        if sighting.error is not None:
            return Incident("unreachable", f"Flink cannot be asked about the job: {sighting.error}.")
        if sighting.launcher_at_work:
            return None  # an upgrade stops and starts the job; what is wrong afterwards shows afterwards
        if not sighting.running:
            return Incident("gone", f"The streaming job is gone: {sighting}.")
        if len(sighting.running) > 1:
            return Incident("duplicate", f"More than one streaming job runs, where exactly one must: {sighting}.")
        return self._suspect_job(sighting.running[0], sighting)

    def _suspect_job(self, job: Job, sighting: Sighting) -> Incident | None:
        self._job_id = self._job_id or job.job_id
        if job.job_id != self._job_id:
            return Incident("replaced", f"Job {self._job_id} was replaced by {job.job_id}.")
        if sighting.standstill is not None:
            nothing = f"The streaming job {job.job_id} is {job.state} but applies nothing."
            return Incident("standing", f"{nothing} {sighting.standstill}")
        age_s, age_s_max = sighting.checkpoint_age_s, self._checkpoint_age_s_max
        if age_s > age_s_max:
            late = f"has completed no checkpoint for {age_s:.0f} s (limit {age_s_max:g} s)"
            return Incident("stalled", f"The streaming job {job.job_id} is {job.state} but {late}.")
        return None


def has_been_missing(
    flink: FlinkRest, name_prefix: str, for_s: float, launchers: Launchers | None = None, *, poll_s: float = 5.0
) -> bool:
    """True if Flink says for `for_s` seconds that no such job runs, and nobody is at work to start one.

    False at the first sign of a job, of a launcher or of an error.
    """
    deadline_s = time.monotonic() + for_s
    while not (sighting := look(flink, name_prefix, launchers=launchers)).running and sighting.error is None:
        if sighting.launcher_at_work:
            return False
        if time.monotonic() >= deadline_s:
            return True
        time.sleep(poll_s)
    return False


def wait_until_stopped(flink: FlinkRest, name_prefix: str, timeout_s: float, *, poll_s: float = 1.0) -> Sighting:
    """Return once no such job runs. Raises Unavailable, with what was seen last, if it takes over `timeout_s`."""
    deadline_s = time.monotonic() + timeout_s
    while (sighting := look(flink, name_prefix)).running or sighting.error is not None:
        if time.monotonic() >= deadline_s:
            raise Unavailable(f"the stream has not stopped after {timeout_s:g} s: {sighting}")
        time.sleep(poll_s)
    return sighting


def _epitaph(job: Job | None, failure: str | None) -> str:
    if job is None:
        return "Flink knows no job of this dataset (a restarted JobManager forgets its jobs)"
    return f"Flink lists {job.name} ({job.job_id}) as {job.state}" + (f", because of {failure}" if failure else "")
