"""Reconciliation: a whole run of compare, repair and report over a cache with a few differences of each kind.

`python -m benchmarks.operations_load.reconcile RUN_ID` is the task whose time and memory are measured.
"""

from __future__ import annotations

import os
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import redis

from benchmarks.lookup_load.generator import Generator, Load
from benchmarks.lookup_load.targets import UNCACHED, Target, ours
from benchmarks.operations_load.filled import fill_cache, fill_source
from benchmarks.operations_load.result import Goal, Result, Status
from benchmarks.operations_load.task import Timed, tell, timed
from benchmarks.stack import operations_stack
from instrument_cache.contract import load_contract
from instrument_cache.give_way import give_way
from instrument_cache.reconcile.plan import Order
from instrument_cache.reconcile.service import Reconcile
from instrument_cache.reconcile.settled import FEED_S
from local_stack.instance import DATASET, PROJECT, Instance
from local_stack.synthetic import synthetic_cusip

TOOK_S_MAX: Final = 60.0
MEMORY_MB_MAX: Final = 300.0
ADDED_P99_PERCENT_MAX: Final = 10.0
_READS_PER_S: Final = 500.0
_CONNECTIONS: Final = 8
_DRIFTED: Final = 100
_WARM_UP_S: Final = 1.0
_SHARE_READ: Final = 0.6


def measure(keys: int, logs: Path | None, status: Status) -> Result:
    """`keys` instruments with an alias each. Raises InstrumentCacheError if it cannot be run to its end."""
    with operations_stack(logs, status) as instance:
        contract = load_contract(PROJECT / "contracts" / f"{DATASET}.yaml")
        status(f"publishing {keys:,} instruments")
        fill_source(instance, keys)
        status("filling the cache")
        fill_cache(instance, contract)
        status("reconciling with drift")
        drift(instance, keys)
        first = run_task(instance, "with-drift")
        with ours(instance, UNCACHED, 0, instance.folder("log")) as target:
            # The second run finds nothing to wait for; the reads end before it does.
            reads = _reads(instance, target, keys, (first.took_s - FEED_S) * _SHARE_READ, status)
    return _result(keys, first, reads)


def drift(instance: Instance, keys: int) -> None:
    """Remove some records, make some too new to be true, and add some that the source does not have."""
    client = redis.Redis.from_url(instance.redis_url)
    step = keys // _DRIFTED
    for number in range(0, keys, step):
        key = f"instr:{synthetic_cusip(number)}"
        if number % (2 * step):
            client.delete(key)
        else:
            client.setrange(key, 5, "9")
    for number in range(keys, keys + _DRIFTED):
        client.set(f"instr:{synthetic_cusip(number)}", '{"v":1763674000123456,"cusip":"x"}')


def run_task(instance: Instance, run_id: str) -> Timed:
    """One whole run in a process of its own."""
    environment = {**os.environ, **instance.settings(), "PYTHONPATH": str(PROJECT), "ICACHE_LOG_LEVEL": "WARNING"}
    return timed(["-m", "benchmarks.operations_load.reconcile", run_id], environment)


def reconcile(run_id: str) -> dict[str, Any]:
    """What the DAG's tasks do, one after the other."""
    give_way()
    service = Reconcile()
    service.compare(run_id, Order(grace_s=10))
    service.repair(run_id)
    return service.report(run_id).numbers


@dataclass(frozen=True)
class _Reads:
    """The same reads `alone`, before and after, and `beside` a reconciliation that took `run`."""

    alone: tuple[Load, Load]
    beside: Load
    run: Timed

    @property
    def alone_p99_us(self) -> float:
        """Of both: what else the machine does changes from one to the other."""
        return sum(load.p99_us for load in self.alone) / len(self.alone)

    @property
    def errors(self) -> int:
        return sum(load.errors for load in (*self.alone, self.beside))


def _reads(instance: Instance, target: Target, keys: int, seconds: float, status: Status) -> _Reads:
    """Reads through the lookup service without its cache, at a schedule that does not wait for answers."""
    generator = Generator(instance.folder("run"))
    requests = [target.single(synthetic_cusip(number * 7919 % keys)) for number in range(20_000)]

    def load() -> Load:
        return generator.run(
            target.port, requests, connections=_CONNECTIONS, rate=_READS_PER_S, seconds=seconds, warm_up_s=_WARM_UP_S
        )

    status("reading from a quiet cache")
    quiet = load()
    status("reading beside a reconciliation")
    done: list[Timed] = []
    beside = threading.Thread(target=lambda: done.append(run_task(instance, "beside-reads")))
    beside.start()
    busy = load()
    beside.join()
    status("reading from a quiet cache again")
    return _Reads((quiet, load()), busy, done[0])


def _result(keys: int, first: Timed, reads: _Reads) -> Result:
    added_percent = (reads.beside.p99_us / reads.alone_p99_us - 1) * 100
    (before, after), beside, second = reads.alone, reads.beside, reads.run
    goals = (
        Goal("took_s", first.took_s, TOOK_S_MAX),
        Goal("memory_mb", max(first.memory_mb, second.memory_mb), MEMORY_MB_MAX),
        Goal("added_p99_percent", added_percent, ADDED_P99_PERCENT_MAX),
    )
    figures = {
        "cpu_s": first.cpu_s,
        "took_beside_reads_s": second.took_s,
        "p99_alone_us": float(before.p99_us),
        "p99_beside_us": float(beside.p99_us),
        "p99_alone_again_us": float(after.p99_us),
        "p95_alone_us": float(before.p95_us),
        "p95_beside_us": float(beside.p95_us),
        "p50_alone_us": float(before.p50_us),
        "p50_beside_us": float(beside.p50_us),
        "read_s": beside.seconds,
        "found": first.result["differences"],
        "repaired": first.result["repaired"],
    }
    problems = tuple(_problems(first, reads))
    return Result("reconcile", keys, first.took_s, goals[1].value, goals, figures, problems)


def _problems(first: Timed, reads: _Reads) -> list[str]:
    found = []
    if not first.result["differences"] == first.result["repaired"] >= 2 * _DRIFTED:
        found.append(f"found {first.result['differences']:.0f}, repaired {first.result['repaired']:.0f}")
    if reads.run.result["equal_ratio"] != 1:
        found.append(f"after the repair {reads.run.result['equal_ratio']:.6%} of the keys were equal")
    if reads.beside.seconds + _WARM_UP_S > reads.run.took_s:
        found.append(f"the run beside the reads ended after {reads.run.took_s:.1f} s, before them")
    if reads.errors:
        found.append(f"{reads.errors} reads failed")
    return found


if __name__ == "__main__":
    tell(lambda: reconcile(sys.argv[1]))
