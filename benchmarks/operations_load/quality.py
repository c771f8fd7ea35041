"""Data quality: a whole run over the cache, of every record, with the page and the report.

`python -m benchmarks.operations_load.quality RUN_ID` is the task whose time and memory are measured.
"""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import redis

from benchmarks.operations_load.filled import fill_cache_alone
from benchmarks.operations_load.result import Goal, Result, Status
from benchmarks.operations_load.task import Timed, tell, timed
from benchmarks.stack import operations_stack
from instrument_cache.contract import load_contract
from instrument_cache.quality.model import CACHE, Order
from instrument_cache.quality.service import Quality
from local_stack.instance import DATASET, PROJECT, Instance
from local_stack.synthetic import synthetic_cusip

TOOK_S_MAX: Final = 90.0
MEMORY_MB_MAX: Final = 1024.0
_PLANTED: Final = 25


def measure(keys: int, logs: Path | None, status: Status) -> Result:
    """`keys` instruments, of which some break a rule. Raises InstrumentCacheError if it cannot be run to its end."""
    with operations_stack(logs, status) as instance:
        contract = load_contract(PROJECT / "contracts" / f"{DATASET}.yaml")
        status(f"filling the cache with {keys:,} instruments")
        fill_cache_alone(instance, contract, keys)
        status("checking clean data")
        clean = run_task(instance, "clean")
        plant(instance, keys)
        status("checking data with faults")
        faulty = run_task(instance, "faulty")
    return _result(keys, clean, faulty)


def plant(instance: Instance, keys: int) -> None:
    """Give some records, far from each other, the alias of the first one."""
    client = redis.Redis.from_url(instance.redis_url)
    step = keys // _PLANTED
    for number in range(0, keys - step + 1, step):
        key = f"instr:{synthetic_cusip(number)}"
        held: Any = client.get(key)
        client.set(key, held.replace(f"PME{number:09d}".encode(), b"PME000000000"))


def run_task(instance: Instance, run_id: str) -> Timed:
    """One whole run in a process of its own."""
    environment = {**os.environ, **instance.settings(), "PYTHONPATH": str(PROJECT), "ICACHE_LOG_LEVEL": "WARNING"}
    return timed(["-m", "benchmarks.operations_load.quality", run_id], environment)


def quality(run_id: str) -> dict[str, Any]:
    """What the DAG's tasks do, one after the other."""
    service, order, started = Quality(), Order((CACHE,), fail_on="warning"), datetime.now(UTC)
    service.check(run_id, order)
    report = service.report(run_id, started, order)
    broken = report.details["inputs"][CACHE]["broken"]
    return {**report.numbers, "broken": {rule["rule"]: rule["observed"] for rule in broken}}


def _result(keys: int, clean: Timed, faulty: Timed) -> Result:
    goals = (
        Goal("took_s", max(clean.took_s, faulty.took_s), TOOK_S_MAX),
        Goal("memory_mb", max(clean.memory_mb, faulty.memory_mb), MEMORY_MB_MAX),
    )
    figures = {"cpu_s": clean.cpu_s, "clean_s": clean.took_s, "faulty_s": faulty.took_s, "rules": clean.result["rules"]}
    return Result(
        "quality", keys, goals[0].value, goals[1].value, goals, figures, tuple(_problems(keys, clean, faulty))
    )


def _problems(keys: int, clean: Timed, faulty: Timed) -> list[str]:
    found = []
    if clean.result["broken"] or clean.result["cache_looked"] != keys:
        found.append(f"of {clean.result['cache_looked']:.0f} clean records: {clean.result['broken']}")
    if faulty.result["broken"] != {"pme_duplicateValues": _PLANTED}:
        found.append(f"with {_PLANTED} planted: {faulty.result['broken']}")
    return found


if __name__ == "__main__":
    tell(lambda: quality(sys.argv[1]))
