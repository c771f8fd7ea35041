"""Sees to it that exactly one job of a dataset runs: `python -m flink_jobs.submit ensure` or `stop`. Ends in seconds.

It runs as a pod. What it finds decides, never what an earlier try remembers: the restore path is looked up on each try.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import pyflink
import structlog
from redis.exceptions import RedisError
from redis.lock import Lock

from flink_jobs.restore_points import RestorePoint, restore_points
from instrument_cache.connections import redis_client, s3_client
from instrument_cache.errors import InstrumentCacheError, StoreUnavailable, Unavailable
from instrument_cache.flink_rest import (
    ENDED_STATES,
    FlinkRest,
    FlinkUnavailable,
    Job,
    job_name,
    job_version,
    stream_job_name_prefix,
)
from instrument_cache.logs import configure_logging
from instrument_cache.settings import environment, redis_url, s3_settings

logger = structlog.get_logger()

_CLUSTER_TIMEOUT_S: Final = 60.0
_SUBMIT_TIMEOUT_S: Final = 180.0
_RUNNING_TIMEOUT_S: Final = 90.0
# How many restore points are tried, newest first, before the job starts from the beginning of the log. That is slow but
# right too: what is applied already is a duplicate to the store.
_RESTORE_TRIES: Final = 2
_LOCK_S: Final = 30.0


class Launcher:
    """Ensures or stops the job of one dataset on one cluster."""

    def __init__(self, rest: FlinkRest, dataset: str, version: str) -> None:
        self._rest = rest
        self._dataset = dataset
        self._name = job_name(dataset, version)

    def ensure(self) -> Job:
        """Recognise the running job of this version, or start it from the newest state of its predecessor."""
        self._await_cluster()
        jobs = self._living()
        current = [job for job in jobs if job.name == self._name]
        for extra in [job for job in jobs if job not in current[:1]]:
            self._stop(extra)
        if current:
            logger.info("job_recognised", job=current[0].job_id, name=self._name, state=current[0].state)
            return self._await_running(current[0].job_id)
        return self._start()

    def stop(self) -> None:
        """Stop every job of the dataset with a savepoint."""
        self._await_cluster()
        jobs = self._living()
        if not jobs:
            logger.info("nothing_to_stop", dataset=self._dataset)
        for job in jobs:
            self._stop(job)

    def _living(self) -> list[Job]:
        """Jobs of the dataset that have not ended, newest first."""
        return [job for job in self._rest.jobs(stream_job_name_prefix(self._dataset)) if not job.has_ended]

    def _stop(self, job: Job) -> None:
        """With a savepoint; a job that cannot make one is cancelled, and its retained checkpoint stays."""
        try:
            path = self._rest.stop_with_savepoint(job.job_id, timeout_s=60.0)
            logger.info("job_stopped", job=job.job_id, name=job.name, savepoint=path)
        except FlinkUnavailable:
            raise
        except InstrumentCacheError as error:
            logger.warning("savepoint_failed", job=job.job_id, error=str(error), action="cancel")
            self._rest.cancel(job.job_id)
        self._await_end(job.job_id)

    def _start(self) -> Job:
        points: list[RestorePoint | None] = [*self._restore_points()[:_RESTORE_TRIES], None]
        for point in points:
            try:
                job = self._await_running(self._submit(point))
                logger.info("job_started", job=job.job_id, name=self._name, restored_from=point and point.path)
                return job
            except JobEnded as error:
                logger.error("start_failed", restore_point=point and point.path, error=str(error))
        raise Unavailable(f"the job {self._name} did not start from any of {len(points)} states; see the log above")

    def _restore_points(self) -> list[RestorePoint]:
        settings = s3_settings()
        return restore_points(s3_client(settings), settings.bucket)

    def _submit(self, point: RestorePoint | None) -> str:
        """`flink run`, detached. Returns the id of the new job."""
        before = {job.job_id for job in self._rest.jobs()}
        command = flink_run(self._rest.url, point.path if point else None)
        logger.info("submitting", restore_point=point and point.path)
        done = subprocess.run(command, timeout=_SUBMIT_TIMEOUT_S, check=False)
        new = [job.job_id for job in self._rest.jobs(self._name) if job.job_id not in before]
        if done.returncode == 0 and new:
            return new[0]
        raise JobEnded(f"`flink run` ended with exit code {done.returncode} and started no job; its output is above")

    def _await_cluster(self) -> None:
        deadline = time.monotonic() + _CLUSTER_TIMEOUT_S
        while True:
            try:
                if self._rest.slots_total() > 0:
                    return
            except FlinkUnavailable:
                if time.monotonic() > deadline:
                    raise
            if time.monotonic() > deadline:
                raise FlinkUnavailable(f"Flink at {self._rest.url} has no TaskManager; start one and try again")
            time.sleep(0.5)

    def _await_running(self, job_id: str) -> Job:
        deadline = time.monotonic() + _RUNNING_TIMEOUT_S
        while time.monotonic() < deadline:
            job = next((job for job in self._rest.jobs() if job.job_id == job_id), None)
            if job is None:
                raise JobEnded(f"Flink does not know job {job_id} any more; its JobManager was started anew")
            if job.has_ended:
                raise JobEnded(f"job {job_id} ended as {job.state}: {self._rest.failure(job_id)}")
            if job.state == "RUNNING":
                return job
            time.sleep(0.5)
        raise JobEnded(f"job {job_id} did not run within {_RUNNING_TIMEOUT_S} s: {self._rest.failure(job_id)}")

    def _await_end(self, job_id: str) -> None:
        deadline = time.monotonic() + _RUNNING_TIMEOUT_S
        while self._rest.job(job_id).state not in ENDED_STATES:
            if time.monotonic() > deadline:
                raise Unavailable(f"job {job_id} did not end within {_RUNNING_TIMEOUT_S} s; cancel it in Flink's page")
            time.sleep(0.5)


class JobEnded(InstrumentCacheError):
    """A job that was started did not come to run."""


def flink_run(url: str, restore_path: str | None) -> list[str]:
    """The command that submits `job.py` to the cluster at `url`."""
    home = Path(os.environ.get("FLINK_HOME") or Path(pyflink.__file__).parent)
    restore = ["--fromSavepoint", restore_path] if restore_path else []
    job = Path(__file__).with_name("job.py")
    address = url.removeprefix("http://")
    return [
        *(str(home / "bin" / "flink"), "run", "--detached", "--jobmanager", address, *restore),
        *("--pyClientExecutable", sys.executable, "--python", str(job)),
    ]


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m flink_jobs.submit", description=__doc__)
    parser.add_argument("action", choices=("ensure", "stop"))
    action = parser.parse_args(arguments).action
    configure_logging("submit")
    env = environment()
    dataset = env.text("ICACHE_DATASET", "instruments")
    launcher = Launcher(FlinkRest(env.text("ICACHE_FLINK_URL")), dataset, job_version(env))
    with _alone(redis_url(env), dataset):
        launcher.ensure() if action == "ensure" else launcher.stop()
    return 0


@contextmanager
def _alone(url: str, dataset: str) -> Iterator[None]:
    """Two of these at once must not both see "no job" and start one. Raises StoreUnavailable without Redis."""
    lock = redis_client(url, name="submit").lock(
        f"lock:submit:{dataset}", timeout=_LOCK_S, blocking_timeout=120, thread_local=False
    )
    try:
        acquired = lock.acquire()
    except RedisError as error:
        raise StoreUnavailable(f"Redis does not give the lock of submissions: {error}; try again") from error
    if not acquired:
        raise Unavailable(f"another submission of {dataset} has been running for two minutes; try again later")
    done = threading.Event()
    threading.Thread(target=_hold, args=(lock, done), daemon=True).start()
    try:
        yield
    finally:
        done.set()
        with suppress(RedisError):  # it expires by itself
            lock.release()


def _hold(lock: Lock, done: threading.Event) -> None:
    """Renew the lock while the work lasts: the lock of a launcher that was killed must not hold up the next one."""
    while not done.wait(_LOCK_S / 3):
        with suppress(RedisError):
            lock.reacquire()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except InstrumentCacheError as failure:
        logger.error("failed", error=str(failure))
        sys.exit(1)
