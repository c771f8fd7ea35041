"""How long an empty cache takes to hold all, and what an instrument takes in it: `python -m benchmarks.bootstrap`.

The clock starts with the launcher that submits the job, while Flink, Kafka and an empty Redis run, and stops when the
last instrument of the log can be read.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from benchmarks.command import add_output, report_console, run, warn, whole_number, write_json
from benchmarks.drain import await_counted, benchmark_store, preload, submission
from benchmarks.machine import Machine, look_at_machine
from benchmarks.stack import benchmark_stack
from benchmarks.stream import check, new_workload
from benchmarks.workload import Check
from instrument_cache.connections import redis_client
from instrument_cache.contract import load_contract
from local_stack.instance import DATASET, PROJECT, Instance

_TIMEOUT_S: Final = 900.0


@dataclass(frozen=True)
class BootstrapReport:
    """`first_s` and `all_s` count from the launcher's start. Bytes are those that Redis itself says it uses."""

    machine: Machine
    keys: int
    parallelism: int
    pme_percent: int
    first_s: float
    all_s: float
    redis_bytes: int
    check: Check

    @property
    def bytes_per_instrument(self) -> float:
        return self.redis_bytes / self.keys


def main() -> int:
    """0 if every key was right at the end, 1 if not."""
    options = _options()
    report = run(lambda status: measure(options.keys, options.pme_percent, options.parallelism, options.logs, status))
    if report is None:
        return 1
    show(report, report_console())
    write_json(options.json, as_json(report))
    return 0 if report.check.is_exact else 1


def measure(
    keys: int, pme_percent: int, parallelism: int, logs: Path | None, status: Callable[[str], None]
) -> BootstrapReport:
    """Raises InstrumentCacheError if it cannot be run to its end."""
    machine = look_at_machine()
    contract = load_contract(PROJECT / "contracts" / f"{DATASET}.yaml")
    workload = new_workload(contract, pme_percent, mix={"new": 1})
    with benchmark_stack(parallelism, logs, status) as instance:
        preload(instance, workload, keys, status)
        store, empty_bytes = benchmark_store(instance), used_bytes(instance)
        status("bootstrapping")
        started_s = time.monotonic()
        with submission(instance) as launcher:
            await_counted(store, 1, _TIMEOUT_S, launcher)
            first_s = time.monotonic() - started_s
            await_counted(store, keys, _TIMEOUT_S, launcher)
            all_s = time.monotonic() - started_s
        taken = used_bytes(instance) - empty_bytes
        status("comparing every key")
        found = check(instance, workload)
    return BootstrapReport(machine, keys, parallelism, pme_percent, first_s, all_s, taken, found)


def used_bytes(instance: Instance) -> int:
    """What Redis has allocated: values, keys and the table of keys."""
    used: int = redis_client(instance.redis_url, name="benchmark").info("memory")["used_memory"]
    return used


def as_json(report: BootstrapReport) -> dict[str, Any]:
    """Everything in the report, in units that the names tell."""
    return {
        "machine": {**asdict(report.machine), "was_idle": report.machine.is_idle},
        "keys": report.keys,
        "parallelism": report.parallelism,
        "pme_percent": report.pme_percent,
        "first_s": round(report.first_s, 2),
        "all_s": round(report.all_s, 2),
        "redis_bytes_per_instrument": round(report.bytes_per_instrument, 1),
        "check": report.check._asdict(),
        "exact": report.check.is_exact,
    }


def show(report: BootstrapReport, console: Console) -> None:
    """Print the machine and one table."""
    for line in report.machine.lines():
        console.print(line, highlight=False, soft_wrap=True)
    table = Table(f"{report.keys:,} instruments, parallelism {report.parallelism}", "")
    table.columns[1].justify = "right"
    table.add_row("launcher started → first readable, seconds", f"{report.first_s:.1f}")
    table.add_row("launcher started → all readable, seconds", f"{report.all_s:.1f}", style="bold")
    table.add_row("bytes of Redis per instrument", f"{report.bytes_per_instrument:.0f}", style="bold")
    for name in Check._fields:
        table.add_row(f"keys {name}", f"{getattr(report.check, name):,}")
    console.print(table)
    warn(console, was_idle=report.machine.is_idle)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bootstrap", description=__doc__)
    parser.add_argument("--keys", type=whole_number(1_000, 100_000_000), default=1_000_000, help="instruments")
    aliases = "share of instruments with a PME id, which is a second key"
    parser.add_argument("--pme-percent", type=whole_number(0, 100), default=0, help=aliases)
    parser.add_argument("--parallelism", type=whole_number(1, 8), default=2, help="of the job")
    add_output(parser)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
