"""A backup: a whole run, from the scan to the report, into two regions that are both empty.

`python -m benchmarks.operations_load.backup RUN_ID` is the task whose time and memory are measured.
"""

from __future__ import annotations

import os
import sys
import time
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any, Final

import msgspec
import redis

from benchmarks.operations_load.result import Goal, Result, Status
from benchmarks.operations_load.task import Timed, tell, timed
from benchmarks.stack import operations_stack
from instrument_cache.backup.run import run_backup
from instrument_cache.backup.service import Backups
from instrument_cache.connections import redis_client
from instrument_cache.contract import load_contract
from instrument_cache.reconcile.expected import ExpectedMaker
from instrument_cache.source.interface import Put
from instrument_cache.store.redis import RedisStore
from local_stack.instance import DATASET, PROJECT, Instance
from local_stack.synthetic import synthetic_rows

TOOK_S_MAX: Final = 60.0
MEMORY_MB_MAX: Final = 300.0
_PAGE: Final = 10_000
_FIRST_US: Final = 1_763_674_000_000_000


def measure(keys: int, logs: Path | None, status: Status) -> Result:
    """`keys` instruments with an alias each. Raises InstrumentCacheError if it cannot be run to its end."""
    with operations_stack(logs, status) as instance:
        status("filling the cache")
        fill(instance, keys)
        status("backing up")
        without = run_task(instance, "without", ICACHE_BACKUP_RDB="false")
        status("backing up with Redis's own snapshot")
        whole = run_task(instance, "whole")
        held = int(redis.Redis.from_url(instance.redis_url).info("memory")["used_memory_dataset"])
    return _result(keys, without, whole, held)


def fill(instance: Instance, rows: int) -> None:
    """Synthetic instruments, each with a PME id: two keys of the cache."""
    contract = load_contract(PROJECT / "contracts" / f"{DATASET}.yaml")
    maker, store = ExpectedMaker(contract), RedisStore(redis_client(instance.redis_url, name="benchmark"), DATASET)
    puts = (
        Put(key=msgspec.json.decode(row)["cusip"], payload=row, timestamp_us=_FIRST_US + at, position=at)
        for at, row in enumerate(synthetic_rows(rows))
    )
    while page := list(islice(puts, _PAGE)):
        store.offer({key: value for made in maker.of_many(page) if made for key, value in made.values.items()})


def run_task(instance: Instance, run_id: str, **settings: str) -> Timed:
    """One whole run in a process of its own."""
    own = {"PYTHONPATH": str(PROJECT), "ICACHE_LOG_LEVEL": "WARNING", **settings}
    return timed(["-m", "benchmarks.operations_load.backup", run_id], {**os.environ, **instance.settings(), **own})


def back_up(run_id: str) -> dict[str, Any]:
    """What the DAG's tasks do, one after the other, and when each began."""
    steps: dict[str, float] = {}

    def told(what: str, done: int, total: int) -> None:
        steps.setdefault(what, time.monotonic())

    report = run_backup(Backups(), run_id, datetime.now(UTC), progress=told)
    began = {f"until_{what}_s": at - steps["scan"] for what, at in steps.items()}
    return {**report.numbers, **began, "ok": report.ok, "sentence": report.sentence}


def _result(keys: int, without: Timed, whole: Timed, held: int) -> Result:
    goals = (
        Goal("took_s", whole.took_s, TOOK_S_MAX),
        Goal("memory_mb", max(without.memory_mb, whole.memory_mb), MEMORY_MB_MAX),
    )
    figures = {
        "cpu_s": whole.cpu_s,
        "without_snapshot_s": without.took_s,
        "entries": whole.result["entries"],
        "stored_mb": whole.result["bytes"] / 1e6,
        "stored_without_snapshot_mb": without.result["bytes"] / 1e6,
        "redis_dataset_mb": held / 1e6,
        **{name: value for name, value in without.result.items() if name.startswith("until_")},
    }
    problems = [run.result["sentence"] for run in (without, whole) if not run.result["ok"]]
    if whole.result["compared"] != 2 * keys:
        problems.append(f"{whole.result['compared']:.0f} entries were compared of {2 * keys}")
    return Result("backup", keys, whole.took_s, goals[1].value, goals, figures, tuple(problems))


if __name__ == "__main__":
    tell(lambda: back_up(sys.argv[1]))
