"""Whether the lookup service's memory stays where it was set: `python -m benchmarks.lookup_churn`.

Far more keys than the cache can hold are read evenly and written all the time, so that nearly every read drops an entry
and keeps another. The memory of the worker processes and what the cache says it holds are looked at every few seconds.
"""

from __future__ import annotations

import argparse
import random
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import httpx
from rich.table import Table

from benchmarks.command import add_output, report_console, run, whole_number, write_json
from benchmarks.cpu import processes
from benchmarks.lookup_load.generator import Generator, Load
from benchmarks.lookup_load.stock import fill
from benchmarks.lookup_load.targets import OURS, Target, ours
from benchmarks.machine import Machine, look_at_machine
from benchmarks.stack import redis_alone
from instrument_cache.connections import redis_client
from instrument_cache.contract import load_contract
from instrument_cache.store.redis import RedisStore
from local_stack.instance import DATASET, PROJECT, Instance

READS_PER_S: Final = 2000.0
WRITES_PER_S: Final = 500
_LOOK_S: Final = 5.0
# The first minute fills the cache and makes every code path's own memory.
SETTLED_S: Final = 60.0
# Growth from the settled minute to the end that still counts as flat: the allocator gives memory back in its own time.
_GROWTH_MAX: Final = 0.03


@dataclass(frozen=True)
class Look:
    """At one moment: seconds since the beginning, memory of all workers, and what their caches say they hold."""

    at_s: float
    rss_bytes: int
    cache_bytes: int
    entries: int


@dataclass(frozen=True)
class ChurnReport:
    """`cache_bytes_max` is the limit of all workers together."""

    machine: Machine
    keys: int
    cache_bytes_max: int
    load: Load
    looks: tuple[Look, ...]

    @property
    def settled(self) -> list[Look]:
        return [look for look in self.looks if look.at_s >= SETTLED_S] or list(self.looks[-1:])

    @property
    def growth(self) -> float:
        """From the first settled quarter to the last quarter, as a share: means of the workers' memory."""
        settled = self.settled
        quarter = max(len(settled) // 4, 1)
        return _mean(settled[-quarter:]) / _mean(settled[:quarter]) - 1

    @property
    def is_flat(self) -> bool:
        return self.growth <= _GROWTH_MAX and all(look.cache_bytes <= self.cache_bytes_max for look in self.looks)


def main() -> int:
    """0 if memory stayed flat and within its limit and no request failed, 1 if not."""
    options = _options()
    report = run(lambda status: measure(options.keys, options.minutes * 60, options.cache_mib, options.logs, status))
    if report is None:
        return 1
    show(report)
    write_json(options.json, as_json(report))
    return 0 if report.is_flat and not report.load.errors else 1


def measure(
    keys_count: int, seconds: float, cache_mib: int, logs: Path | None, status: Callable[[str], None]
) -> ChurnReport:
    """Raises InstrumentCacheError if it cannot be run to its end."""
    machine = look_at_machine()
    contract = load_contract(PROJECT / "contracts" / f"{DATASET}.yaml")
    cache_bytes = cache_mib * 2**20
    with redis_alone(logs, status) as instance:
        generator = Generator(instance.folder("run"))
        status(f"putting {keys_count:,} instruments into Redis")
        keys = fill(instance.redis_url, contract, keys_count)
        with ours(instance, OURS, cache_bytes, instance.folder("log")) as server:
            status(f"{seconds:.0f} s of churn")
            over = threading.Event()
            looks: list[Look] = []
            threads = [
                threading.Thread(target=_write, args=(instance, [contract.redis_key(key) for key in keys], over)),
                threading.Thread(target=_look, args=(server, looks, over)),
            ]
            for thread in threads:
                thread.start()
            try:
                requests = [server.single(key) for key in random.Random(1).sample(keys, len(keys))]
                load = generator.run(
                    server.port, requests, connections=32, rate=READS_PER_S, seconds=seconds, warm_up_s=1.0
                )
            finally:
                over.set()
                for thread in threads:
                    thread.join()
            limit = cache_bytes * server.workers
    return ChurnReport(machine, keys_count, limit, load, tuple(looks))


def _write(instance: Instance, redis_keys: Sequence[str], over: threading.Event) -> None:
    """Write newer versions of instruments through the guard, so many a second, until it is over."""
    client = redis_client(instance.redis_url, name="benchmark")
    store = RedisStore(client, DATASET)
    chance = random.Random(2)
    pages = 10
    while not over.wait(1 / pages):
        page = chance.sample(redis_keys, WRITES_PER_S // pages)
        version = time.time_ns() // 1000
        stored = zip(page, store.get_many(page), strict=True)
        store.offer({key: b'{"v":%d%b' % (version, value[21:]) for key, value in stored if value})


def _look(server: Target, looks: list[Look], over: threading.Event) -> None:
    began_s = time.monotonic()
    while not over.wait(_LOOK_S):
        text = httpx.get(f"http://127.0.0.1:{server.port}/metrics", timeout=10).text
        numbers = dict(
            line.rsplit(" ", 1) for line in text.splitlines() if line.startswith("instrument_cache_lookup_cache")
        )
        looks.append(
            Look(
                time.monotonic() - began_s,
                _rss_bytes(server.pid),
                int(float(numbers["instrument_cache_lookup_cache_bytes"])),
                int(float(numbers["instrument_cache_lookup_cache_entries"])),
            )
        )


def _rss_bytes(root: int) -> int:
    """Of the children of `root`: the workers."""
    pids = [pid for pid, process in processes().items() if process.parent == root]
    return sum(_status_bytes(pid) for pid in pids)


def _status_bytes(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    return 0


def _mean(looks: Sequence[Look]) -> float:
    return sum(look.rss_bytes for look in looks) / len(looks)


def as_json(report: ChurnReport) -> dict[str, Any]:
    """Everything in the report, in units that the names tell."""
    return {
        "machine": {**asdict(report.machine), "was_idle": report.machine.is_idle},
        "keys": report.keys,
        "cache_bytes_max": report.cache_bytes_max,
        "reads": report.load.answers,
        "errors": report.load.errors,
        "rss_growth": round(report.growth, 4),
        "flat": report.is_flat,
        "looks": [asdict(look) for look in report.looks],
    }


def show(report: ChurnReport) -> None:
    """Print the machine and one table."""
    console = report_console()
    for line in report.machine.lines():
        console.print(line, highlight=False, soft_wrap=True)
    settled = report.settled
    table = Table(f"{report.keys:,} keys, {READS_PER_S:,.0f} reads/s, {WRITES_PER_S:,} writes/s", "")
    table.columns[1].justify = "right"
    table.add_row("seconds", f"{report.looks[-1].at_s:.0f}")
    table.add_row("limit of all caches, MiB", f"{report.cache_bytes_max / 2**20:.0f}")
    table.add_row("most that the caches said they held, MiB", f"{max(x.cache_bytes for x in report.looks) / 2**20:.1f}")
    table.add_row("memory of the workers after a minute, MiB", f"{settled[0].rss_bytes / 2**20:.1f}")
    table.add_row("memory of the workers at the end, MiB", f"{settled[-1].rss_bytes / 2**20:.1f}")
    table.add_row("growth from the first quarter to the last", f"{report.growth:+.1%}")
    table.add_row("requests that failed", f"{report.load.errors}")
    console.print(table)
    if not report.is_flat:
        console.print("WRONG: memory grew, or the caches held more than they may", style="bold red", soft_wrap=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.lookup_churn", description=__doc__)
    parser.add_argument("--keys", type=whole_number(10_000, 10_000_000), default=300_000, help="instruments in Redis")
    parser.add_argument("--minutes", type=whole_number(2, 600), default=10, help="of churn")
    parser.add_argument("--cache-mib", type=whole_number(1, 65_536), default=16, help="limit of each worker's cache")
    add_output(parser)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
