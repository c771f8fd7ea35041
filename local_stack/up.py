"""`icache up`: starts every part in the order of its needs, waits until each serves, and launches the stream."""

from __future__ import annotations

import shutil
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, Final

from instrument_cache.errors import InstrumentCacheError, Unavailable
from instrument_cache.flink_rest import FlinkRest, stream_job_name_prefix
from instrument_cache.settings import Environment
from instrument_cache.source.registry import open_source
from local_stack.airflow_api import AirflowApi
from local_stack.components.component import Component
from local_stack.components.product import feed_state
from local_stack.instance import DATASET, Instance
from local_stack.lag import has_applied, log_end
from local_stack.processes import end, marked
from local_stack.stack import parts
from local_stack.supervisor import Supervisor, log_path

Report = Callable[[str, float], None]
STREAM_DAG: Final = "stream_instruments"
WATCHDOG_DAG: Final = "stream_watchdog"
OPERATION_DAGS: Final = (
    STREAM_DAG,
    WATCHDOG_DAG,
    "stream_stop",
    "stream_upgrade",
    "dead_letter_archive",
    "dead_letter_replay",
    "retention",
    "secret_rotation",
    "audit_verify",
    "failover_drill",
    "dr_drill",
    "cache_backup",
    "cache_restore",
    "cache_reconcile",
    "data_quality",
    "reconcile_after_gap",
    "slo_report",
    "deadlines",
    "capacity_report",
    "readiness_score",
)
_DISK_FREE_BYTES_MIN: Final = 2_000_000_000
_POLL_S: Final = 0.2


def check_machine(instance: Instance) -> None:
    """Raises InstrumentCacheError with the way out if a tool or room on the disk is missing."""
    for tool in ("java", "redis-server"):
        if shutil.which(tool) is None:
            raise InstrumentCacheError(f"{tool} is not installed; `make setup` installs it or says how")
    for part in (
        instance.python,
        instance.flink_python,
        instance.tools / "bin" / "versitygw",
        instance.tools / "kafka",
    ):
        if not part.exists():
            raise InstrumentCacheError(f"{part} is missing; `make setup` makes it")
    free = shutil.disk_usage(instance.folder()).free
    if free < _DISK_FREE_BYTES_MIN:
        raise InstrumentCacheError(
            f"{instance.home} has {free // 10**6} MB of disk left, the stack needs {_DISK_FREE_BYTES_MIN // 10**6}; "
            "make room, or set ICACHE_HOME to a folder on another disk"
        )


def start_all(instance: Instance, report: Report) -> None:
    """Start what does not run. Safe to call again after an interruption at any point."""
    instance.make_secrets()
    supervisor = Supervisor(instance)
    components = parts(instance)
    supervisor.ensure(components)
    ready = {component.name: threading.Event() for component in components}
    failed = threading.Event()

    def bring_up(component: Component) -> None:
        try:
            for need in component.needs:
                while not ready[need].wait(_POLL_S):
                    if failed.is_set():
                        return
            started = time.monotonic()
            start(instance, supervisor, component)
            ready[component.name].set()
            report(component.name, time.monotonic() - started)
        except BaseException:
            failed.set()
            raise

    with ThreadPoolExecutor(len(components)) as pool:
        for future in [pool.submit(bring_up, component) for component in components]:
            future.result()


def start(instance: Instance, supervisor: Supervisor, component: Component) -> None:
    """Start one part and wait until it serves. Raises InstrumentCacheError with the end of its log if it does not."""
    if supervisor.state(component.name)["statename"] != "RUNNING":
        end(marked(str(instance.home), component.name), grace_s=5.0)
        for port in component.ports:
            _check_port(instance, component.name, port)
        component.prepare(instance)
        supervisor.start(component.name)
    deadline = time.monotonic() + component.ready_timeout_s
    while not _is_ready(instance, component):
        if time.monotonic() > deadline:
            raise Unavailable(_not_ready(instance, component))
        time.sleep(_POLL_S)
    component.after_start(instance)


def _check_port(instance: Instance, name: str, port: str) -> None:
    number = instance.port(port)
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", number))
        except OSError:
            raise InstrumentCacheError(
                f"port {number}, which {name} needs, is taken by another program; stop that program, "
                f"or move all ports of this stack with ICACHE_PORT_OFFSET={instance.port_offset + 100}"
            ) from None


def _is_ready(instance: Instance, component: Component) -> bool:
    with suppress(Exception):  # whatever it is that does not answer yet, it is asked again until the deadline
        return component.is_ready(instance)
    return False


def _not_ready(instance: Instance, component: Component) -> str:
    path = log_path(instance, component.name)
    tail = path.read_text(errors="replace").splitlines()[-8:] if path.exists() else []
    said = "\n    ".join(tail)
    return f"{component.name} was not ready after {component.ready_timeout_s:.0f} s; {path} ends with\n    {said}"


def launch_stream(instance: Instance) -> None:
    """Have Airflow run `stream_instruments`, unless a run of it already watches a running job."""
    airflow = AirflowApi(instance)
    _wait(lambda: all(airflow.has_dag(dag) for dag in OPERATION_DAGS), 120, lambda: _missing_dags(airflow))
    if not (airflow.runs(STREAM_DAG, "running", "queued") and _job_runs(instance)):
        _start_run(airflow)
    _wait(lambda: _job_runs(instance), 240, lambda: _why_no_job(airflow))


def _start_run(airflow: AirflowApi) -> None:
    """One new run that watches, with the watchdog held still meanwhile: it would start one too."""
    airflow.pause(WATCHDOG_DAG)
    for run in airflow.runs(STREAM_DAG, "running", "queued"):
        airflow.end_run(STREAM_DAG, run["dag_run_id"], "failed", "ended by `icache up`: its job is gone")
    airflow.pause(STREAM_DAG, False)
    airflow.trigger(STREAM_DAG, "launched by `icache up`")
    for dag in OPERATION_DAGS:
        airflow.pause(dag, False)


def _missing_dags(airflow: AirflowApi) -> str:
    errors = "; ".join(airflow.import_errors()) or "see `icache logs airflow-dag-processor`"
    return f"Airflow did not load the DAGs {', '.join(OPERATION_DAGS)}: {errors}"


def _why_no_job(airflow: AirflowApi) -> str:
    run = airflow.runs(STREAM_DAG)[0]
    return f"Flink runs no job of {DATASET}; in Airflow, {STREAM_DAG} run {run['dag_run_id']} is {run['state']}"


def _job_runs(instance: Instance) -> bool:
    with suppress(Unavailable):
        jobs = FlinkRest(instance.url("flink")).jobs(stream_job_name_prefix(DATASET))
        return any(job.state == "RUNNING" for job in jobs)
    return False


def await_applied(instance: Instance, timeout_s: float = 300.0) -> None:
    """Wait until the job has applied all that the source holds now; live traffic may go on."""
    source = open_source(instance.settings()["ICACHE_SOURCE_URL"], Environment(instance.settings()))
    target = source_position(source)

    def sent() -> bool:
        state: dict[str, Any] = feed_state(instance)
        return bool(state.get("phase") == "live" and state.get("position", 0) >= target)

    complaint = "the snapshot was not applied in time; `icache status` shows where it stands"
    _wait(sent, timeout_s, lambda: complaint)
    end = log_end(instance.kafka, DATASET)
    _wait(lambda: has_applied(instance.kafka, DATASET, end), timeout_s, lambda: complaint)


def source_position(source: Any) -> int:
    """The number of the newest message that the source has sent."""
    return int(next(iter(source.snapshot())).position)


def _wait(condition: Callable[[], bool], timeout_s: float, complaint: Callable[[], str]) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise Unavailable(complaint())
        time.sleep(0.5)


def stop_all(instance: Instance) -> int:
    """Stop every part, last started first, and end whatever is left of the instance. Returns how many were left."""
    supervisor = Supervisor(instance)
    if supervisor.is_up():
        _end_watch(instance)
        supervisor.shutdown()
    supervisor.await_end()
    return end(marked(str(instance.home)), grace_s=4.0)


def _end_watch(instance: Instance) -> None:
    """A stream that is stopped with its stack was not lost: its run must not turn red."""
    if Supervisor(instance).states().get("airflow-api-server", {}).get("statename") != "RUNNING":
        return  # to ask it all the same would take a minute of retries
    with suppress(Unavailable):
        airflow = AirflowApi(instance)
        for run in airflow.runs(STREAM_DAG, "running", "queued"):
            airflow.end_run(STREAM_DAG, run["dag_run_id"], "success", "the stack was stopped")
