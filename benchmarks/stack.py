"""A stack for one benchmark: Redis, Kafka, S3 and Flink, on ports of their own and in a folder that goes with it."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import yaml

from local_stack.components.component import Component
from local_stack.components.flink import JOBMANAGER, SLOTS, TASKMANAGER, cluster_config, flink_environment, prepare
from local_stack.components.kafka import KAFKA
from local_stack.components.product import SIMULATOR
from local_stack.components.redis import REDIS
from local_stack.components.s3 import S3, S3_SECOND
from local_stack.instance import PROJECT, Instance, write_private
from local_stack.supervisor import Supervisor
from local_stack.up import check_machine, start, stop_all
from tests.servers import free_port_offset


@contextmanager
def benchmark_stack(parallelism: int, logs: Path | None, report: Callable[[str], None]) -> Iterator[Instance]:
    """Start the parts one after the other, yield the instance, and leave no process and no file but `logs` behind."""
    with _running(_components(parallelism), logs, report) as instance:
        yield instance


@contextmanager
def redis_alone(logs: Path | None, report: Callable[[str], None]) -> Iterator[Instance]:
    """The same with nothing but Redis."""
    with _running([REDIS], logs, report) as instance:
        yield instance


@contextmanager
def operations_stack(logs: Path | None, report: Callable[[str], None]) -> Iterator[Instance]:
    """What operations on a cache need: Redis, Kafka, both regions' S3 and the simulated source; no stream runs.

    The source stands for one on a machine of its own, so it gives way to what is measured.
    """
    source = replace(SIMULATOR, command=_giving_way)
    with _running([REDIS, KAFKA, S3, S3_SECOND, source], logs, report, _OneSession) as instance:
        yield instance


class _OneSession(Supervisor):
    """Its programs share the benchmark's session, as all parts of a laptop's stack share one, Airflow's tasks too.

    Where the kernel groups programs by session, a task gives way only to programs of its own.
    """

    def _launch(self, command: list[str]) -> subprocess.CompletedProcess[str]:
        # A group of its own: Ctrl-C is for the benchmark, which stops it.
        process = subprocess.Popen(
            [*command, "--nodaemon"],
            env=self._instance.base_environment(),
            cwd=PROJECT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            process_group=0,
        )
        threading.Thread(target=process.wait, daemon=True).start()
        return subprocess.CompletedProcess(command, 0, "", "")


@contextmanager
def _running(
    components: list[Component],
    logs: Path | None,
    report: Callable[[str], None],
    kind: type[Supervisor] = Supervisor,
) -> Iterator[Instance]:
    with tempfile.TemporaryDirectory(prefix="icache-benchmark-") as home:
        instance = Instance(Path(home), Instance.from_environment().tools, free_port_offset())
        check_machine(instance)
        try:
            _start(instance, kind(instance), components, report)
            yield instance
        finally:
            report("stopping")
            stop_all(instance)
            if logs:
                shutil.copytree(instance.folder("log"), logs, dirs_exist_ok=True)


def _start(
    instance: Instance, supervisor: Supervisor, components: list[Component], report: Callable[[str], None]
) -> None:
    instance.make_secrets()
    supervisor.ensure(components)
    for component in components:
        report(f"starting {component.name}")
        start(instance, supervisor, component)


def _giving_way(instance: Instance) -> list[str]:
    return [str(instance.python), "-m", "instrument_cache.give_way", *SIMULATOR.command(instance)]


def _components(parallelism: int) -> list[Component]:
    def prepare_flink(instance: Instance) -> None:
        _prepare_flink(instance, parallelism)

    job_manager = replace(JOBMANAGER, prepare=prepare_flink, environment=job_environment)
    return [REDIS, KAFKA, S3, job_manager, replace(TASKMANAGER, environment=job_environment)]


def _prepare_flink(instance: Instance, parallelism: int) -> None:
    """The stack's own configuration, but for the parallelism."""
    prepare(instance)
    own = {"parallelism.default": parallelism, "taskmanager.numberOfTaskSlots": max(SLOTS, parallelism)}
    config = yaml.safe_dump({**cluster_config(instance), **own})
    write_private(instance.folder("conf", "flink") / "config.yaml", config)


def job_environment(instance: Instance) -> dict[str, str]:
    """For Flink and for the submission. The code that runs is the one beside this file, wherever that lies."""
    return {**flink_environment(instance), "PYTHONPATH": str(PROJECT)}
