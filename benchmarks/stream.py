"""How fast the stream drains a full log, and whether it ends right: `python -m benchmarks.stream`.

Starts a stack of its own, writes the records to Kafka, submits the job, measures from the first record that the store
counted to the last, and compares every key with a state that was worked out beside the stream. docs/performance.md says
how to read the table.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from benchmarks.command import add_output, report_console, run, whole_number, write_json
from benchmarks.drain import benchmark_store, drain, preload, reset
from benchmarks.machine import look_at_machine
from benchmarks.peer import Comparison, Peers, find_peers
from benchmarks.report import Report, Run, as_json, outcomes_add_up, show
from benchmarks.stack import benchmark_stack
from benchmarks.workload import MIX, Check, Workload, compare
from instrument_cache.clock import SystemClock
from instrument_cache.contract import Contract, load_contract
from local_stack.instance import DATASET, PROJECT, Instance

# Versions begin an hour ago: none may lie in the future, and deletions must be young enough to be remembered.
_AGE_US: Final = 3_600 * 1_000_000
_ROWS_MAX: Final = 100_000_000


def main() -> int:
    """0 if every run ended exactly right, 1 if not."""
    options = _options()

    def measured(status: Callable[[str], None]) -> Report:
        peers = find_peers(options.peer, options.peer_config) if options.peer else None
        return measure(
            options.rows, options.pme_percent, options.parallelism, options.repeat, options.logs, status, peers
        )

    report = run(measured)
    if report is None:
        return 1
    show(report, report_console())
    write_json(options.json, as_json(report))
    return 0 if report.is_exact else 1


def measure(
    rows: int,
    pme_percent: int,
    parallelism: int,
    repeat: int,
    logs: Path | None,
    status: Callable[[str], None],
    peers: Peers | None = None,
) -> Report:
    """Run the benchmark `repeat` times over one log, and then as often with each other sink.

    Raises InstrumentCacheError if it cannot be run to its end.
    """
    machine = look_at_machine()
    contract = load_contract(PROJECT / "contracts" / f"{DATASET}.yaml")
    workload = new_workload(contract, pme_percent)
    runs = []
    with benchmark_stack(parallelism, logs, status) as instance:
        preload(instance, workload, rows, status)
        for number in range(1, repeat + 1):
            status(f"run {number} of {repeat}")
            reset(instance)
            runs.append(_run(instance, workload, rows, status))
        own = [run.drain.whole for run in runs]
        comparison = Comparison(instance, contract, workload, rows, status)
        compared = comparison.run(peers, parallelism, repeat, own) if peers else None
    return Report(machine, rows, pme_percent, parallelism, workload.bytes_total / rows, runs, compared)


def _run(instance: Instance, workload: Workload, rows: int, status: Callable[[str], None]) -> Run:
    drained = drain(instance, rows, status)
    status("comparing every key")
    add_up = outcomes_add_up(drained.outcomes, rows, workload.rejected)
    return Run(drained, check(instance, workload), add_up)


def new_workload(contract: Contract, pme_percent: int = 0, mix: Mapping[str, int] = MIX) -> Workload:
    """Change records of the past hour."""
    return Workload(contract, start_us=SystemClock().now_us() - _AGE_US, pme_percent=pme_percent, mix=mix)


def check(instance: Instance, workload: Workload) -> Check:
    """Every key of Redis against the expected state."""
    store = benchmark_store(instance)
    prefixes = {key.partition(":")[0] for key in workload.expected.held}
    return compare(workload.expected.held, (pair for prefix in prefixes for pair in store.scan(prefix)))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.stream", description=__doc__)
    parser.add_argument("--rows", type=whole_number(1_000, _ROWS_MAX), default=1_000_000, help="records in the log")
    aliases = "share of instruments with a PME id, which costs a second key each (real rows: 0)"
    parser.add_argument("--pme-percent", type=whole_number(0, 100), default=0, help=aliases)
    parser.add_argument("--parallelism", type=whole_number(1, 8), default=2, help="of the job (8 partitions)")
    parser.add_argument("--repeat", type=whole_number(1, 100), default=1, help="drains, each from an empty store")
    peer = "run the sinks for Redis that lie in this folder of Kafka Connect plugins on the same log, and compare"
    parser.add_argument("--peer", type=Path, metavar="PLUGIN_DIR", help=peer)
    parser.add_argument("--peer-config", type=Path, metavar="FILE", help="connector properties, instead of the known")
    add_output(parser)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
