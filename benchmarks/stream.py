"""How fast the stream drains a full log, and whether it ends right: `python -m benchmarks.stream`.

Starts a stack of its own, writes the records to Kafka, submits the job, measures from the first record that the store
counted to the last, and compares every key with a state that was worked out beside the stream. docs/performance.md says
how to read the table.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from rich.console import Console

from benchmarks.drain import benchmark_store, drain, preload, reset
from benchmarks.machine import look_at_machine
from benchmarks.report import Report, Run, as_json, outcomes_add_up, show
from benchmarks.stack import benchmark_stack
from benchmarks.workload import Check, Workload, compare
from instrument_cache.clock import SystemClock
from instrument_cache.contract import load_contract
from instrument_cache.errors import InstrumentCacheError
from local_stack.instance import DATASET, PROJECT, Instance

# Versions begin an hour ago: none may lie in the future, and deletions must be young enough to be remembered.
_AGE_US: Final = 3_600 * 1_000_000
_ROWS_MAX: Final = 100_000_000


def main() -> int:
    """0 if every run ended exactly right, 1 if not."""
    options = _options()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _end)
    console = Console(stderr=True)
    try:
        with console.status("looking at the machine") as status:
            report = measure(
                options.rows,
                options.pme_percent,
                options.parallelism,
                options.repeat,
                options.logs,
                status.update,
            )
    except InstrumentCacheError as error:
        console.print(f"benchmark failed: {error}", style="red", markup=False)
        return 1
    show(report, Console())
    if options.json:
        options.json.write_text(json.dumps(as_json(report), indent=2) + "\n", encoding="utf-8")
    return 0 if report.is_exact else 1


def _end(number: int, frame: object) -> None:
    """Leave through every `finally`, so that the stack is taken down; a second signal must not break that off."""
    for other in (signal.SIGTERM, signal.SIGINT):
        signal.signal(other, signal.SIG_IGN)
    sys.exit(128 + number)


def measure(
    rows: int, pme_percent: int, parallelism: int, repeat: int, logs: Path | None, status: Callable[[str], None]
) -> Report:
    """Run the benchmark `repeat` times over one log. Raises InstrumentCacheError if it cannot be run to its end."""
    machine = look_at_machine()
    contract = load_contract(PROJECT / "contracts" / f"{DATASET}.yaml")
    workload = Workload(contract, start_us=SystemClock().now_us() - _AGE_US, pme_percent=pme_percent)
    runs = []
    with benchmark_stack(parallelism, logs, status) as instance:
        preload(instance, workload, rows, status)
        for number in range(1, repeat + 1):
            status(f"run {number} of {repeat}")
            reset(instance)
            runs.append(_run(instance, workload, rows, status))
    return Report(machine, rows, pme_percent, parallelism, workload.bytes_total / rows, runs)


def _run(instance: Instance, workload: Workload, rows: int, status: Callable[[str], None]) -> Run:
    drained = drain(instance, rows, status)
    status("comparing every key")
    add_up = outcomes_add_up(drained.outcomes, rows, workload.rejected)
    return Run(drained, _check(instance, workload), add_up)


def _check(instance: Instance, workload: Workload) -> Check:
    store = benchmark_store(instance)
    prefixes = {key.partition(":")[0] for key in workload.expected.held}
    return compare(workload.expected.held, (pair for prefix in prefixes for pair in store.scan(prefix)))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.stream", description=__doc__)
    parser.add_argument("--rows", type=_between(1_000, _ROWS_MAX), default=1_000_000, help="change records in the log")
    aliases = "share of instruments with a PME id, which costs a second key each (real rows: 0)"
    parser.add_argument("--pme-percent", type=_between(0, 100), default=0, help=aliases)
    parser.add_argument("--parallelism", type=_between(1, 8), default=2, help="of the job; the topic has 8 partitions")
    parser.add_argument("--repeat", type=_between(1, 100), default=1, help="drains, each from an empty store")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the report there, too")
    parser.add_argument("--logs", type=Path, metavar="FOLDER", help="keep the logs of all parts there")
    return parser.parse_args()


def _between(low: int, high: int) -> Callable[[str], int]:
    def whole_number(text: str) -> int:
        if not text.isdecimal() or not low <= int(text) <= high:
            raise argparse.ArgumentTypeError(f"{text!r} must be a whole number from {low} to {high}")
        return int(text)

    return whole_number


if __name__ == "__main__":
    sys.exit(main())
