"""The stack that faults are done to: every part of the stream without Airflow, on a small disk of its own.

What uses Redis reaches it through a proxy. In Airflow's place a thread calls the product's launcher whenever no job
runs, as the watchdog would.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import redis
import yaml

from instrument_cache.connections import redis_client
from instrument_cache.errors import InstrumentCacheError
from instrument_cache.flink_rest import stream_job_name_prefix
from instrument_cache.kafka import topic_spans
from local_stack.components.component import Component
from local_stack.components.flink import JOBMANAGER, TASKMANAGER, cluster_config, flink_environment, prepare
from local_stack.components.kafka import KAFKA
from local_stack.components.product import FEED, LOOKUP, SIMULATOR
from local_stack.components.redis import REDIS
from local_stack.components.s3 import S3
from local_stack.instance import DATASET, PROJECT, Instance, write_private
from local_stack.processes import end, marked
from local_stack.supervisor import Supervisor
from local_stack.up import start, stop_all
from tests.faults.disk import small_disk
from tests.faults.toxiproxy import Toxiproxy
from tests.servers import free_port, free_port_offset, wait_until
from tests.stack import Stack

# Short, so that a fault of some seconds reaches both ways back: the batch that waits, and the job that starts again.
APPLY_RETRY_S: Final = 4
CHECKPOINT_INTERVAL: Final = "2 s"
_LAUNCH_TIMEOUT_S: Final = 300.0
_WATCH_PAUSE_S: Final = 3.0


class FaultStack(Stack):
    """A running stack and what faults need of it."""

    def __init__(self, home: Path, port_offset: int, proxy: Toxiproxy) -> None:
        super().__init__(home, port_offset)
        self.proxy = proxy
        self.supervisor = Supervisor(self.instance)
        self.components = self._components()

    def _components(self) -> list[Component]:
        by_proxy = {"ICACHE_APPLY_RETRY_S": str(APPLY_RETRY_S)}

        def flink(instance: Instance) -> dict[str, str]:
            return {**flink_environment(instance), **by_proxy, "ICACHE_REDIS_URL": self.proxy.url(instance)}

        def lookup(instance: Instance) -> dict[str, str]:
            return {**LOOKUP.environment(instance), "ICACHE_REDIS_URL": self.proxy.url(instance)}

        job_manager = replace(JOBMANAGER, prepare=_prepare_flink, environment=flink)
        task_manager = replace(TASKMANAGER, environment=flink)
        parts = [REDIS, KAFKA, S3, SIMULATOR, self.proxy.component(), job_manager, task_manager]
        return [*parts, FEED, replace(LOOKUP, environment=lookup)]

    def start(self) -> None:
        self.instance.make_secrets()
        self.supervisor.ensure(self.components)
        for component in self.components:
            start(self.instance, self.supervisor, component)

    @property
    def redis(self) -> redis.Redis:
        """Redis itself, not by way of the proxy."""
        return redis_client(self.instance.redis_url, name="fault-tests")

    def pid(self, name: str) -> int:
        return int(self.supervisor.state(name)["pid"])

    def workers(self) -> list[int]:
        """Flink's Python workers."""
        return [pid for pid in marked(str(self.home), "flink-taskmanager") if _is_worker(pid)]

    def kill(self, name: str) -> None:
        """kill -9 of a part; returns when the supervisor has started it again."""
        old = self.pid(name)
        os.kill(old, signal.SIGKILL)
        wait_until(lambda: self._is_new(name, old), 60, what=f"{name} with a new process")

    def _is_new(self, name: str, old: int) -> bool:
        state = self.supervisor.state(name)
        return bool(state["statename"] == "RUNNING" and state["pid"] != old)

    def all_serve(self) -> bool:
        return all(component.is_ready(self.instance) for component in self.components)

    def log_ends(self) -> dict[int, int]:
        """Partition → the offset after its last record."""
        return {partition: span.end for partition, span in topic_spans(self.instance.kafka, DATASET).items()}

    def has_accounted(self, ends: dict[int, int]) -> bool:
        """True if every record before `ends` has its outcome in Redis."""
        accounts = self.store.accounts()
        return all(partition in accounts and accounts[partition].next >= end for partition, end in ends.items() if end)

    def launch(self) -> None:
        """What the watchdog's pod runs."""
        environment = {**self.instance.base_environment(), **flink_environment(self.instance)}
        command = [str(self.instance.flink_python), "-m", "flink_jobs.submit", "ensure"]
        with (self.instance.folder("log") / "launcher.log").open("ab") as log:
            options: dict[str, Any] = {"env": {**environment, "ICACHE_COMPONENT": "launcher"}, "cwd": PROJECT}
            subprocess.run(command, **options, stdout=log, stderr=log, timeout=_LAUNCH_TIMEOUT_S, check=False)

    def no_job(self) -> bool:
        """True if Flink answers, has a TaskManager and knows no job that has not ended."""
        jobs = self.flink.jobs(stream_job_name_prefix(DATASET))
        return self.flink.slots_total() > 0 and all(job.has_ended for job in jobs)


def _prepare_flink(instance: Instance) -> None:
    """The stack's own configuration, with checkpoints that come faster: each round waits for some."""
    prepare(instance)
    config = {**cluster_config(instance), "execution.checkpointing.interval": CHECKPOINT_INTERVAL}
    write_private(instance.folder("conf", "flink") / "config.yaml", yaml.safe_dump(config))


def _is_worker(pid: int) -> bool:
    with suppress(OSError):
        return b"pyflink.fn_execution.beam.beam_boot" in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    return False


@contextmanager
def _watchdog(stack: FaultStack) -> Iterator[None]:
    """Launches the job when two looks in a row find none."""
    done = threading.Event()

    def watch() -> None:
        missed = 0
        while not done.wait(_WATCH_PAUSE_S):
            missed = missed + 1 if _lost(stack) else 0
            if missed == 2:
                stack.launch()
                missed = 0

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join(_LAUNCH_TIMEOUT_S)


def _lost(stack: FaultStack) -> bool:
    with suppress(InstrumentCacheError):
        return stack.no_job()
    return False


@contextmanager
def running_fault_stack(seed: int) -> Iterator[FaultStack]:
    """A stack in a new folder on free ports, with its job running; ICACHE_TEST_KEEP keeps its logs."""
    home = Path(tempfile.mkdtemp(prefix="icache-"))
    try:
        with small_disk(home / "data"):
            stack = FaultStack(home, free_port_offset(), Toxiproxy(free_port(), free_port(), seed))
            try:
                stack.start()
                stack.launch()
                wait_until(stack.job_runs, 120, what="one running job")
                with _watchdog(stack):
                    yield stack
            finally:
                stop_all(stack.instance)
                end(marked(str(home)), grace_s=0.0)
    finally:
        if os.environ.get("ICACHE_TEST_KEEP"):
            print(f"logs are kept in {home}/log")
        else:
            shutil.rmtree(home, ignore_errors=True)
