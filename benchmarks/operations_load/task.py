"""Runs one operation as a task of Airflow does, in a process of its own, and says what it took.

timed(["-m", "benchmarks.operations_load.reconcile", …], environment) → what the process printed, as JSON
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from instrument_cache.errors import InstrumentCacheError
from local_stack.instance import PROJECT


class Timed(msgspec.Struct):
    """`took_s` without the start of the interpreter, `memory_mb` the most that it held, `result` its own."""

    took_s: float
    cpu_s: float
    memory_mb: float
    result: dict[str, Any]


def timed(arguments: list[str], environment: Mapping[str, str], timeout_s: float = 1800.0) -> Timed:
    """Raises InstrumentCacheError, with the end of what it said, if it fails."""
    done = subprocess.run(
        [sys.executable, *arguments],
        env=dict(environment),
        cwd=PROJECT,
        capture_output=True,
        timeout=timeout_s,
    )
    if done.returncode:
        raise InstrumentCacheError(f"{arguments} failed: {done.stderr.decode()[-800:]}")
    return msgspec.json.decode(done.stdout.splitlines()[-1], type=Timed)


def tell(work: Callable[[], dict[str, Any]]) -> None:
    """In the process: do the work and print what it took."""
    began_s = time.monotonic()
    result = work()
    took_s = time.monotonic() - began_s
    print(msgspec.json.encode(Timed(took_s, time.process_time(), memory_mb_max(), result)).decode())


def memory_mb_max() -> float:
    """The most that this process held. `getrusage` would count what its parent held when it began."""
    lines = Path("/proc/self/status").read_text().splitlines()
    [kilobytes] = [line.split()[1] for line in lines if line.startswith("VmHWM:")]
    return int(kilobytes) / 1024
