"""A restore into an emptied Redis: plan, restore and catch-up; then into the full one, and a roll back of newer data.

`python -m benchmarks.operations_load.restore STEP RUN_ID MODE` is the task whose time and memory are measured; what a
run has planned lies in the file BENCHMARK_PLAN.
"""

from __future__ import annotations

import os
import sys
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any, Final

import msgspec
import redis

from benchmarks.operations_load.backup import fill
from benchmarks.operations_load.result import Goal, Result, Status
from benchmarks.operations_load.task import Timed, tell, timed
from benchmarks.stack import operations_stack
from feed.topics import ensure_topics
from instrument_cache.backup.run import run_backup
from instrument_cache.backup.service import Backups
from instrument_cache.change import stored_value
from instrument_cache.restore.plan import Plan
from instrument_cache.restore.request import Mode, restore_request
from instrument_cache.restore.service import Restores
from instrument_cache.settings import Environment
from instrument_cache.store.redis import RedisStore
from local_stack.instance import DATASET, PROJECT, Instance
from local_stack.synthetic import synthetic_cusip

TOOK_S_MAX: Final = 60.0
MEMORY_MB_MAX: Final = 300.0
_PLAN: Final = "BENCHMARK_PLAN"
_NEWER_SHARE: Final = 10
_PAGE: Final = 1000
_NEWER_US: Final = 1_800_000_000_000_000
_STEPS: Final = ("plan", "restore", "catch_up")


def measure(keys: int, logs: Path | None, status: Status) -> Result:
    """`keys` instruments with an alias each. Raises InstrumentCacheError if it cannot be run to its end."""
    with operations_stack(logs, status) as instance:
        client = redis.Redis.from_url(instance.redis_url)
        ensure_topics(instance.kafka, DATASET, partitions=8, replication=1)
        status("filling the cache")
        fill(instance, keys)
        status("backing it up")
        settings = Environment({**instance.settings(), "ICACHE_BACKUP_RDB": "false"})
        run_backup(Backups(settings), "benchmark", datetime.now(UTC))
        expected = checksum(client)
        client.flushall()
        status("restoring into an empty Redis")
        empty = run(instance, "empty", Mode.RESTORE)
        problems = [] if checksum(client) == expected else ["an emptied Redis was not restored to the same bytes"]
        status("restoring into a full Redis")
        full = run(instance, "full", Mode.RESTORE)
        status("rolling back")
        overwrite(client, keys)
        back = run(instance, "back", Mode.ROLL_BACK)
        problems += [] if checksum(client) == expected else ["the roll back did not end in the backup's bytes"]
    return _result(keys, empty, full, back, problems)


def checksum(client: redis.Redis) -> tuple[int, int]:
    """Number of keys, and a sum over their bytes in whatever order."""
    count = total = 0
    for key, value in _held(client):
        count += 1
        total += zlib.crc32(value, zlib.crc32(key))
    return count, total


def _held(client: Any) -> Iterator[tuple[bytes, bytes]]:
    for prefix in ("instr", "pme"):
        keys = client.scan_iter(match=f"{prefix}:*", count=_PAGE)
        while page := list(islice(keys, _PAGE)):
            yield from zip(page, client.mget(page), strict=True)


def overwrite(client: redis.Redis, keys: int) -> None:
    """Newer data under one key of ten."""
    numbers = iter(range(0, keys, _NEWER_SHARE))
    store = RedisStore(client, DATASET)
    while page := list(islice(numbers, _PAGE)):
        cusips = [synthetic_cusip(number) for number in page]
        store.offer({f"instr:{key}": stored_value(_NEWER_US, b'{"cusip":"%b"}' % key.encode()) for key in cusips})


def run(instance: Instance, run_id: str, mode: Mode) -> dict[str, Timed]:
    """Each task in a process of its own."""
    plan = instance.folder("run") / f"{run_id}.json"
    own = {"PYTHONPATH": str(PROJECT), "ICACHE_LOG_LEVEL": "WARNING", _PLAN: str(plan)}
    environment = {**os.environ, **instance.settings(), **own}
    return {
        step: timed(["-m", "benchmarks.operations_load.restore", step, run_id, mode], environment) for step in _STEPS
    }


def task(step: str, run_id: str, mode: str) -> dict[str, Any]:
    """What a task of the DAG does."""
    restores, path = Restores(), Path(os.environ[_PLAN])
    if step == "plan":
        request = restore_request(restores.contract, run_id=run_id, by="benchmark", mode=mode, reason="measured")
        path.write_bytes(msgspec.json.encode(restores.plan(request)))
        return {}
    plan = msgspec.json.decode(path.read_bytes(), type=Plan)
    counts = restores.restore(plan) if step == "restore" else restores.catch_up(plan).counts
    return counts.numbers


def _result(
    keys: int, empty: dict[str, Timed], full: dict[str, Timed], back: dict[str, Timed], problems: list[str]
) -> Result:
    took_s = sum(empty[step].took_s for step in ("restore", "catch_up"))
    memory_mb = max(step.memory_mb for run in (empty, full, back) for step in run.values())
    goals = (Goal("took_s", took_s, TOOK_S_MAX), Goal("memory_mb", memory_mb, MEMORY_MB_MAX))
    figures = {
        "plan_s": empty["plan"].took_s,
        "restore_s": empty["restore"].took_s,
        "restore_cpu_s": empty["restore"].cpu_s,
        "catch_up_s": empty["catch_up"].took_s,
        "applied": empty["restore"].result["applied"],
        "into_full_s": full["restore"].took_s,
        "plan_of_full_s": full["plan"].took_s,
        "roll_back_s": back["restore"].took_s,
        "replaced": back["restore"].result["replaced"],
    }
    return Result("restore", keys, took_s, memory_mb, goals, figures, tuple(problems))


if __name__ == "__main__":
    tell(lambda: task(*sys.argv[1:4]))
