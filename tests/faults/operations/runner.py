"""One try of an operation, task by task as its DAG does it: `python -m tests.faults.operations.runner ORDER`.

What a task returned is kept in a file, as Airflow keeps it: the next try goes on at the task that failed. It prints the
name of each task that begins.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, Final

import msgspec

from instrument_cache import under_way
from instrument_cache.epoch import EpochMoved
from instrument_cache.errors import BackupError, InstrumentCacheError, RestoreRefused
from tests.faults.operations.tasks import OPERATIONS, Asks, Order, Red, Run

# How a try ends, beside 0. Any other code is a program that broke.
RED: Final = 10  # Airflow tries again
FAILED: Final = 11  # a try more would end the same: the next run is the next try
ASKS: Final = 12  # it waits for a person
_NEVER_AGAIN: Final = (BackupError, RestoreRefused, EpochMoved, Red)


def main(order: Order) -> int:
    """The code that the process ends with."""
    _skew(order.clock_s)
    results = Path(order.folder) / f"{order.run_id}.json"
    kept = msgspec.json.decode(results.read_bytes()) if results.exists() else {}
    run = Run(order, kept)
    try:
        for name, task in OPERATIONS[order.operation].items():
            if name not in run.results:
                print(name, flush=True)
                with _killed_at(order.kill_at if name == order.kill_in else 0), _counted(order, name):
                    run.results[name] = msgspec.to_builtins(task(run))
                _keep(results, run.results)
    except Asks as asked:
        return _ended(asked, ASKS)
    except _NEVER_AGAIN as error:
        return _ended(error, FAILED)
    except InstrumentCacheError as error:
        return _ended(error, RED)
    return 0


def _ended(error: Exception, code: int) -> int:
    print(f"{type(error).__name__}: {error}", file=sys.stderr)
    return code


def _keep(path: Path, results: dict[str, Any]) -> None:
    whole = path.with_suffix(".new")
    whole.write_bytes(msgspec.json.encode(results))
    whole.replace(path)


@contextmanager
def _killed_at(calls: int) -> Iterator[None]:
    """kill -9 of this process at its call number `calls` of any function; 0: never."""
    left = calls

    def count(*_: Any) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    with _profiled(count if calls else None):
        yield


@contextmanager
def _counted(order: Order, task: str) -> Iterator[None]:
    """Write down by which call the task has said that it begins, and how many it makes, for who will choose one.

    Before it has said so, it has done nothing, and nobody can tell of it.
    """
    if not order.count_calls:
        yield
        return
    calls = begins = 0

    def count(frame: FrameType, event: str, _: Any) -> None:
        nonlocal calls, begins
        calls += 1
        if not begins and event == "return" and frame.f_code is under_way._begin.__code__:
            begins = calls

    with _profiled(count):
        yield
    (Path(order.folder) / f"{task}.calls").write_text(f"{begins + 1} {calls + 1}")


@contextmanager
def _profiled(profile: Callable[..., None] | None) -> Iterator[None]:
    if profile is None:
        yield
        return
    sys.setprofile(profile)
    try:
        yield
    finally:
        sys.setprofile(None)


def _skew(seconds: float) -> None:
    """Let this process's clock be off."""
    if seconds:
        right, right_ns = time.time, time.time_ns
        time.time = lambda: right() + seconds
        time.time_ns = lambda: right_ns() + round(seconds * 1e9)


if __name__ == "__main__":
    sys.exit(main(msgspec.json.decode(sys.argv[1], type=Order)))
