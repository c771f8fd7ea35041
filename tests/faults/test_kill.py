"""kill -9 of processes of the whole stack under live traffic: each comes back, the cache equals its source, no version
went back.

Redis, Kafka, the TaskManager and Flink's Python workers are killed in `test_faults.py`, which checks more.
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from local_stack.processes import marked
from tests.faults.traffic import traffic
from tests.servers import wait_until
from tests.stack import Stack

# The longest way back is the JobManager's: the watchdog looks each minute, and a launch takes half a minute.
RECOVERY_S = 240
# The JobManager by itself, for Airflow has to launch the job again; what does not depend on each other, at once.
KILLED = (
    ("flink-jobmanager",),
    ("s3", "simulator", "pod-runner", "exporter"),
    ("feed", "lookup", "lookup-changes", "lookup-rpc"),
    ("airflow-api-server", "airflow-scheduler", "airflow-dag-processor", "airflow-triggerer"),
)


def _is_worker(pid: int) -> bool:
    arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    return b"pyflink.fn_execution.beam.beam_boot" in arguments


def workers(stack: Stack) -> list[int]:
    return [pid for pid in marked(str(stack.home), "flink-taskmanager") if _is_worker(pid)]


@pytest.mark.timeout(600)
@pytest.mark.parametrize("names", KILLED, ids="+".join)
def test_a_killed_process_comes_back_and_nothing_is_lost(stack: Stack, names: tuple[str, ...]) -> None:
    seed = int(os.environ.get("ICACHE_TEST_SEED", "1"))
    before = stack.status()["parts"]
    with traffic(stack, seed) as live:
        wait_until(lambda: live.written > 20 and live.read > 20, what="traffic")
        pids = [int(before[name]["pid"]) for name in names]
        started = time.monotonic()
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        for name in names:
            old = before[name]["pid"]
            wait_until(lambda: _came_back(stack, name, old), RECOVERY_S, what=f"{name} with a new process")  # noqa: B023
        wait_until(lambda: all_serve(stack), RECOVERY_S, what="every part serving")
        stack.settle(RECOVERY_S)
        print(f"{', '.join(names)}: whole again after {time.monotonic() - started:.1f} s")
        written = live.written
        wait_until(lambda: live.written > written + 20, what="traffic afterwards")
    stack.settle()
    stack.assert_equal_to_source()
    assert live.regressions == []
    wait_until(lambda: len(workers(stack)) <= 2, what="no worker left behind")
    stack.assert_all_are_marked()
    after = stack.status()["parts"]
    assert all(after[name]["restarts"] > before[name]["restarts"] for name in names)


def _came_back(stack: Stack, name: str, old_pid: int) -> bool:
    part = stack.status()["parts"][name]
    return bool(part["state"] == "RUNNING" and part["pid"] != old_pid)


def all_serve(stack: Stack) -> bool:
    """Every part answers as it does at the end of `icache up`."""
    from local_stack.stack import COMPONENTS

    return all(component.is_ready(stack.instance) for component in COMPONENTS)
