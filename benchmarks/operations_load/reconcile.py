"""Reconciliation: a whole run of compare, repair and report over a cache with a few differences of each kind.

`python -m benchmarks.operations_load.reconcile RUN_ID` is the task whose time and memory are measured.
"""

from __future__ import annotations

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import fmean
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
from local_stack.instance import DATASET, PROJECT, Instance
from local_stack.synthetic import synthetic_cusip

TOOK_S_MAX: Final = 60.0
MEMORY_MB_MAX: Final = 300.0
ADDED_P99_PERCENT_MAX: Final = 10.0
_READS_PER_S: Final = 500.0
_CONNECTIONS: Final = 8
_DRIFTED: Final = 100
_WARM_UP_S: Final = 1.0
# Seconds of reading per million instruments, less than a run takes.
_READ_US: Final = 25


def measure(keys: int, logs: Path | None, status: Status) -> Result:
    """`keys` instruments with an alias each. Raises InstrumentCacheError if it cannot be run to its end."""
    with operations_stack(logs, status) as instance:
        contract = load_contract(PROJECT / "contracts" / f"{DATASET}.yaml")
        status(f"publishing {keys:,} instruments")
        fill_source(instance, keys)
        status("filling the cache")
        fill_cache(instance, contract)
        drift(instance, keys)
        with ours(instance, UNCACHED, 0, instance.folder("log")) as target:
            reads = _Reads(instance, target, keys, status)
            seconds = max(3.0, keys * _READ_US / 1e6)
            # The first run finds the drift and repairs it, the second finds nothing.
            for run_id in ("with-drift", "without-drift"):
                reads.alone_for(seconds)
                reads.beside_run(run_id, seconds)
            reads.alone_for(seconds)
    return _result(keys, reads)


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


class _Reads:
    """Reads through the lookup service without its cache, at a schedule that does not wait for answers.

    `alone` was measured before, between and after the `runs`, `beside` during each.
    """

    def __init__(self, instance: Instance, target: Target, keys: int, status: Status) -> None:
        self._instance, self._target, self._status = instance, target, status
        self._generator = Generator(instance.folder("run"))
        step = keys // _DRIFTED  # those have no record before the first run
        numbers = (number * 7919 % keys for number in range(20_000))
        self._requests = [target.single(synthetic_cusip(number)) for number in numbers if number % step]
        self.alone: list[Load] = []
        self.beside: list[Load] = []
        self.runs: list[Timed] = []

    def alone_for(self, seconds: float) -> None:
        """Measure with nothing else at work."""
        self._status("reading from a quiet cache")
        self.alone.append(self._load(seconds))

    def beside_run(self, run_id: str, seconds: float) -> None:
        """Measure beside a run."""
        self._status(f"reading beside a reconciliation {run_id}")
        with ThreadPoolExecutor(1) as pool:
            run = pool.submit(run_task, self._instance, run_id)
            self.beside.append(self._load(seconds))
            self.runs.append(run.result())

    def _load(self, seconds: float) -> Load:
        return self._generator.run(
            self._target.port,
            self._requests,
            connections=_CONNECTIONS,
            rate=_READS_PER_S,
            seconds=seconds,
            warm_up_s=_WARM_UP_S,
        )

    @property
    def added_p99_percent(self) -> float:
        """Of the means: what else the machine does changes from one to the next."""
        return (fmean(load.p99_us for load in self.beside) / fmean(load.p99_us for load in self.alone) - 1) * 100


def _result(keys: int, reads: _Reads) -> Result:
    took_s, memory_mb = max(run.took_s for run in reads.runs), max(run.memory_mb for run in reads.runs)
    goals = (
        Goal("took_s", took_s, TOOK_S_MAX),
        Goal("memory_mb", memory_mb, MEMORY_MB_MAX),
        Goal("added_p99_percent", reads.added_p99_percent, ADDED_P99_PERCENT_MAX),
    )
    first, second = reads.runs
    figures = {
        "cpu_s": first.cpu_s,
        "first_took_s": first.took_s,
        "second_took_s": second.took_s,
        **_percentiles("alone", reads.alone),
        **_percentiles("beside", reads.beside),
        "read_s": reads.beside[0].seconds,
        "found": first.result["differences"],
        "repaired": first.result["repaired"],
    }
    return Result("reconcile", keys, took_s, memory_mb, goals, figures, tuple(_problems(reads)))


def _percentiles(name: str, loads: list[Load]) -> dict[str, float]:
    """Of each window, numbered in the order in which they were measured."""
    found: dict[str, float] = {}
    for at, load in enumerate(loads, 1):
        found |= {f"p50_{name}_{at}_us": load.p50_us, f"p99_{name}_{at}_us": load.p99_us}
    return found


def _problems(reads: _Reads) -> list[str]:
    first, second = reads.runs
    found = []
    if not first.result["differences"] == first.result["repaired"] >= 2 * _DRIFTED:
        found.append(f"found {first.result['differences']:.0f}, repaired {first.result['repaired']:.0f}")
    if second.result["equal_ratio"] != 1:
        found.append(f"after the repair {second.result['equal_ratio']:.6%} of the keys were equal")
    for run, load in zip(reads.runs, reads.beside, strict=True):
        if load.seconds + _WARM_UP_S > run.took_s:
            found.append(f"a run ended after {run.took_s:.1f} s, before the reads beside it")
    if errors := sum(load.errors for load in (*reads.alone, *reads.beside)):
        found.append(f"{errors} reads failed")
    return found


if __name__ == "__main__":
    tell(lambda: reconcile(sys.argv[1]))
