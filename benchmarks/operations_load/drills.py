"""The drills: a second region out of a backup, and a lost primary.

`python -m benchmarks.operations_load.drills dr|failover KEYS` is the task whose time and memory are measured; the
servers of a drill are processes of their own.
"""

from __future__ import annotations

import os
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from benchmarks.operations_load.filled import fill_cache, fill_source, source_of
from benchmarks.operations_load.result import Goal, Result, Status
from benchmarks.operations_load.task import Timed, tell, timed
from benchmarks.stack import operations_stack
from feed.change_log.kafka import KafkaChangeLog
from instrument_cache.backup.service import Backups
from instrument_cache.contract import load_contract
from instrument_cache.drills.dr import DrTargets
from instrument_cache.drills.failover import FailoverPlan
from instrument_cache.drills.service import Drilled, Drills
from instrument_cache.errors import InstrumentCacheError
from instrument_cache.records import RecordMaker
from instrument_cache.settings import Environment, environment
from local_stack.instance import DATASET, PROJECT, Instance
from local_stack.synthetic import synthetic_cusip, synthetic_rows

RTO_S_MAX: Final = 120.0
WRITE_GAP_S_MAX: Final = 3.5
MEMORY_MB_MAX: Final = 300.0
# So much of the cache changed since the backup, and is in the log alone.
_CHANGED_SHARE: Final = 100
_FAILOVER_KEYS_MAX: Final = 100_000


def measure(keys: int, logs: Path | None, status: Status) -> Result:
    """`keys` instruments with an alias each. Raises InstrumentCacheError if it cannot be run to its end."""
    with operations_stack(logs, status) as instance:
        status(f"publishing {keys:,} instruments")
        fill_source(instance, keys)
        status("filling the cache")
        fill_cache(instance, load_contract(PROJECT / "contracts" / f"{DATASET}.yaml"))
        status("backing up")
        back_up(instance)
        change(instance, keys // _CHANGED_SHARE)
        status("building a second region")
        dr = run_task(instance, "dr", keys)
        status("killing a primary")
        failover = run_task(instance, "failover", min(keys, _FAILOVER_KEYS_MAX))
    return _result(keys, dr, failover)


def back_up(instance: Instance) -> None:
    """A good backup in both regions."""
    backups = Backups(Environment(instance.settings()))
    name = backups.export("benchmark", datetime.now(UTC)).name
    marked = backups.mark_good(backups.verify(name))
    if len(marked) != 2:
        raise InstrumentCacheError(f"the backup {name} is good only in {marked}; the drill needs it in both regions")


def change(instance: Instance, count: int) -> None:
    """New versions of some instruments, in the source and in the log."""
    source = source_of(instance)
    source.publish(synthetic_rows(count, seed=2))
    maker = RecordMaker(load_contract(PROJECT / "contracts" / f"{DATASET}.yaml"), "benchmark")
    log = KafkaChangeLog(instance.kafka, DATASET)
    for put in source.rows([synthetic_cusip(number) for number in range(count)]):
        if put is not None:
            log.write(put.key.encode(), maker.put(put, time.time_ns() // 1000))
    log.flush()


def run_task(instance: Instance, drill: str, keys: int) -> Timed:
    """One drill in a process of its own."""
    own = {"PYTHONPATH": str(PROJECT), "ICACHE_LOG_LEVEL": "WARNING"}
    arguments = ["-m", "benchmarks.operations_load.drills", drill, str(keys)]
    return timed(arguments, {**os.environ, **instance.settings(), **own})


def drilled(drill: str, keys: int) -> dict[str, Any]:
    """What the DAG's first task does."""
    drills = Drills(environment())
    done: Drilled
    if drill == "dr":
        done = drills.dr("benchmark", DrTargets(rto_s_max=RTO_S_MAX), "second")
    else:
        done = drills.failover("benchmark", FailoverPlan(instruments=keys))
    return {**done.numbers, "misses": done.misses}


def _result(keys: int, dr: Timed, failover: Timed) -> Result:
    goals = (
        Goal("rto_s", dr.result["rto_s"], RTO_S_MAX),
        Goal("write_gap_s", failover.result["write_gap_s"], WRITE_GAP_S_MAX),
        Goal("failed_cached_reads", failover.result["failed_cached_reads"], 0),
        Goal("memory_mb", max(dr.memory_mb, failover.memory_mb), MEMORY_MB_MAX),
    )
    steps = ("build_s", "restore_s", "catch_up_s", "serve_s", "compare_s", "rpo_s", "entries", "caught_up")
    reads = ("cached_reads", "stale_cached_reads", "failed_other_reads", "acknowledged_writes", "lost_writes")
    figures = {name: float(dr.result[name]) for name in steps} | {name: float(failover.result[name]) for name in reads}
    return Result("drills", keys, dr.took_s, goals[3].value, goals, figures, _problems(keys, dr, failover))


def _problems(keys: int, dr: Timed, failover: Timed) -> tuple[str, ...]:
    """A goal that was missed is none."""
    found = []
    if (dr.result["keys"], dr.result["behind"], dr.result["extra"]) != (keys, 0, 0):
        found.append(f"the second region differs from the source: {dr.result['misses']}")
    if dr.result["right"] != dr.result["asked"]:
        found.append(f"{dr.result['right']} of {dr.result['asked']} REST answers were right")
    if failover.result["lost_writes"] != failover.result["repaired_writes"]:
        found.append(
            f"{failover.result['lost_writes']} writes were lost, {failover.result['repaired_writes']} repaired"
        )
    return tuple(found)


if __name__ == "__main__":
    tell(lambda: drilled(sys.argv[1], int(sys.argv[2])))
