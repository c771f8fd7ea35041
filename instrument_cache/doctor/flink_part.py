"""Flink: the JobManager, the TaskManagers, and the one job that should run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Final

from instrument_cache.connections import redis_client
from instrument_cache.doctor.model import Finding
from instrument_cache.doctor.text import duration
from instrument_cache.errors import InstrumentCacheError
from instrument_cache.flink_rest import FlinkRest, FlinkUnavailable, Job, flink_rest, stream_job_name_prefix
from instrument_cache.launch_lock import launcher_at_work
from instrument_cache.settings import Environment, redis_url

_RECENT_S: Final = 300
# A checkpoint each five seconds: so many that fail in a row are not chance.
_CHECKPOINT_AGE_S_MAX: Final = 30
_RUNBOOK: Final = "stream_instruments"
_LOST_TASKMANAGER: Final = ("TaskManager", "heartbeat", "Connection refused", "Lost connection", "slot")


def look_at_flink(env: Environment) -> Iterator[Finding]:
    """JobManager, TaskManagers and job, each with a finding of its own."""
    with flink_rest(env) as flink:
        try:
            overview = flink.overview()
        except FlinkUnavailable as error:
            yield _no_jobmanager(error)
            return
        yield Finding("flink-jobmanager", "ok", f"Flink {overview.flink_version} answers at {flink.url}")
        yield _taskmanagers(overview.taskmanagers, overview.slots_total)
        yield from _job(flink, env)


def _no_jobmanager(error: FlinkUnavailable) -> Finding:
    return Finding(
        "flink-jobmanager",
        "red",
        str(error),
        "the JobManager's process has ended or is starting; the stream stands still, readers get what the cache holds",
        "icache restart flink-jobmanager (the watchdog then launches the job again)",
        _RUNBOOK,
    )


def _taskmanagers(count: int, slots: int) -> Finding:
    if count:
        return Finding("flink-taskmanager", "ok", f"{count} TaskManagers with {slots} slots")
    return Finding(
        "flink-taskmanager",
        "red",
        "no TaskManager is registered: there are 0 slots, and no job can run",
        "the TaskManager's process has ended, or does not reach the JobManager",
        "icache restart flink-taskmanager",
        _RUNBOOK,
    )


def _job(flink: FlinkRest, env: Environment) -> Iterator[Finding]:
    prefix = stream_job_name_prefix(env.text("ICACHE_DATASET", "instruments"))
    jobs = [job for job in flink.jobs(prefix) if not job.has_ended]
    if not jobs:
        yield _no_job(env, prefix)
    for job in jobs:
        yield from _one(flink, job)
    if len(jobs) > 1:
        yield _too_many(jobs)


def _no_job(env: Environment, prefix: str) -> Finding:
    if _launcher_at_work(env):
        return Finding(
            "flink-job",
            "warn",
            f"no job {prefix}* runs, and a launcher is at work",
            "it is being launched, upgraded or stopped",
            "wait a minute; then icache doctor again",
            _RUNBOOK,
        )
    return Finding(
        "flink-job",
        "red",
        f"no job {prefix}* runs: nothing is applied to the cache",
        "it was stopped on purpose (stream_stop), or the JobManager was lost; the watchdog launches a lost one again",
        "icache stream launches: trigger the DAG stream_instruments",
        _RUNBOOK,
    )


def _launcher_at_work(env: Environment) -> bool:
    with suppress(InstrumentCacheError):
        dataset = env.text("ICACHE_DATASET", "instruments")
        return launcher_at_work(redis_client(redis_url(env), name="doctor", timeout_s=2.0), dataset)
    return False


def _too_many(jobs: list[Job]) -> Finding:
    names = ", ".join(f"{job.name} ({job.job_id})" for job in jobs)
    return Finding(
        "flink-job",
        "red",
        f"{len(jobs)} jobs run for one dataset: {names}",
        "one was launched past the launcher, by hand",
        f"flink cancel {jobs[-1].job_id}",
        _RUNBOOK,
    )


def _one(flink: FlinkRest, job: Job) -> Iterator[Finding]:
    failure = flink.last_failure(job.job_id)
    ago_s = (job.now_ms - failure.at_ms) / 1000 if failure else None
    cause = failure.cause if failure else ""
    if job.state != "RUNNING":
        yield Finding(
            "flink-job",
            "red",
            f"the job {job.name} is {job.state}, not RUNNING" + (f"; its last failure: {cause}" if cause else ""),
            _why(cause) if cause else "it has just been started and waits for slots or workers",
            "Flink starts it again by itself; if it stays so: icache logs flink-taskmanager",
            _RUNBOOK,
        )
        return
    if ago_s is not None and ago_s < _RECENT_S:
        yield Finding(
            "flink-job",
            "warn",
            f"the job {job.name} was started again: it failed {duration(ago_s)} ago ({cause})",
            _why(cause),
            "nothing if it happened once; else icache logs flink-taskmanager",
            _RUNBOOK,
        )
    yield from _checkpoints(flink, job)


def _checkpoints(flink: FlinkRest, job: Job) -> Iterator[Finding]:
    found = flink.checkpoints(job.job_id)
    # The counts begin anew with each restart; a job that is younger than the limit owes none yet.
    age_s = found.age_s(job)
    if age_s > _CHECKPOINT_AGE_S_MAX:
        yield Finding(
            "flink-job",
            "warn",
            f"the job {job.name} has completed no checkpoint for {duration(age_s)} ({found.failed} failed)",
            "S3 does not take them, or the job cannot keep up: changes are applied, but a restart replays longer",
            "mend S3 first; else icache logs flink-jobmanager",
            _RUNBOOK,
        )
        return
    yield Finding("flink-job", "ok", f"the job {job.name} is RUNNING, its newest checkpoint is {duration(age_s)} old")


def _why(cause: str) -> str:
    if any(word in cause for word in _LOST_TASKMANAGER):
        return "a TaskManager ended or was not reached in time"
    return "a Python worker ended (killed, out of memory), or could not apply a batch in time"
