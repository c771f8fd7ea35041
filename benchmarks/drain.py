"""One drain: submit the job to a full log and wait until the store has counted every record."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from benchmarks.span import Moment, Span, between, moment
from benchmarks.stack import job_environment
from benchmarks.workload import Workload
from feed.change_log.kafka import KafkaChangeLog
from instrument_cache.change import Outcome
from instrument_cache.connections import redis_client, s3_client
from instrument_cache.errors import InstrumentCacheError, Unavailable
from instrument_cache.flink_rest import FlinkRest, stream_job_name_prefix
from instrument_cache.settings import Environment, s3_settings
from instrument_cache.store.redis import RedisStore
from local_stack.instance import DATASET, PROJECT, Instance
from local_stack.supervisor import Supervisor

SUBMISSION: Final = "submission, benchmark"
_POLL_S: Final = 0.1
_START_TIMEOUT_S: Final = 240.0
# Far below what any machine does: only a job that stands still takes longer.
_RECORDS_PER_S_MIN: Final = 2_000


@dataclass(frozen=True)
class Drain:
    """From the first counted record to the last.

    `second_half` is the part of `whole` in which most of the Java code is compiled: what a longer drain comes near to.
    """

    whole: Span
    second_half: Span
    outcomes: dict[str, int]


def preload(instance: Instance, workload: Workload, count: int, report: Callable[[str], None]) -> None:
    """Write the records to Kafka the way the feed does."""
    log = KafkaChangeLog(instance.kafka, DATASET)
    for at, (key, value) in enumerate(workload.records(count)):
        log.write(key, value)
        if at % 20_000 == 0:
            report(f"preloading {at * 100 // count} %")
    log.flush(timeout_s=120)


def drain(instance: Instance, count: int, report: Callable[[str], None]) -> Drain:
    """Submit the job and measure until the store has counted `count` records.

    Raises Unavailable if the job does not start, or does not come that far in time.
    """
    store = benchmark_store(instance)
    with submission(instance) as launcher:
        # The submission is a child of this process, and its time stays with the parent once it has ended.
        roots = {**parts(instance), os.getpid(): SUBMISSION}

        def moment_of(at_least: int, timeout_s: float) -> Moment:
            await_counted(store, at_least, timeout_s, launcher)
            return moment(roots, counted(store.counters()))

        report("submitting the job")
        first = moment_of(1, _START_TIMEOUT_S)
        report("draining")
        middle, last = (moment_of(part, count / _RECORDS_PER_S_MIN + 30) for part in (count // 2, count))
    return Drain(between(first, last), between(middle, last), store.counters())


def parts(instance: Instance) -> dict[int, str]:
    """{process id: part}, as the stack's supervisor knows them."""
    return {state["pid"]: name for name, state in Supervisor(instance).states().items()}


def benchmark_store(instance: Instance) -> RedisStore:
    return RedisStore(redis_client(instance.redis_url, name="benchmark"), DATASET)


def counted(outcomes: dict[str, int]) -> int:
    """Every record has exactly one outcome; other counters, such as that of ties, say more about some of them."""
    return sum(outcomes.get(outcome, 0) for outcome in Outcome)


@contextmanager
def submission(instance: Instance) -> Iterator[subprocess.Popen[bytes]]:
    """The product's own launcher, in the environment that its pod has on a laptop."""
    environment = {**instance.base_environment(), **job_environment(instance), "ICACHE_COMPONENT": "submission"}
    command = [str(instance.flink_python), "-m", "flink_jobs.submit", "ensure"]
    with (instance.folder("log") / "submission.log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, cwd=PROJECT, stdout=log, stderr=log)
    try:
        yield process
        process.wait(timeout=_START_TIMEOUT_S)
    finally:
        process.kill()
        process.wait()


def await_counted(store: RedisStore, count: int, timeout_s: float, launcher: subprocess.Popen[bytes]) -> None:
    """Raises Unavailable if the launcher fails, or the store does not count that far in time."""
    deadline = time.monotonic() + timeout_s
    while (seen := counted(store.counters())) < count:
        if launcher.poll():
            raise Unavailable("the job could not be submitted; --logs FOLDER keeps the reason")
        if time.monotonic() > deadline:
            raise Unavailable(
                f"{seen} of {count} records were counted within {timeout_s:.0f} s; --logs FOLDER keeps why"
            )
        time.sleep(_POLL_S)


def reset(instance: Instance) -> None:
    """Bring everything but the log back to the beginning: no job, no state to restore, an empty store."""
    _end_jobs(instance)
    _forget_checkpoints(instance)
    client = redis_client(instance.redis_url, name="benchmark", timeout_s=60.0)
    client.flushall()
    client.bgrewriteaof()
    while client.info("persistence")["aof_rewrite_in_progress"]:
        time.sleep(0.1)


def _end_jobs(instance: Instance) -> None:
    prefix = stream_job_name_prefix(DATASET)
    with FlinkRest(instance.url("flink")) as flink:
        for job in flink.jobs(prefix):
            if not job.has_ended:
                flink.cancel(job.job_id)
        deadline = time.monotonic() + 60
        while not all(job.has_ended for job in flink.jobs(prefix)):
            if time.monotonic() > deadline:
                raise InstrumentCacheError("the job did not end within 60 s of its cancellation")
            time.sleep(0.2)


def _forget_checkpoints(instance: Instance) -> None:
    settings = s3_settings(Environment(instance.settings()))
    client = s3_client(settings)
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=settings.bucket):
        for item in page.get("Contents", ()):
            client.delete_object(Bucket=settings.bucket, Key=item["Key"])
