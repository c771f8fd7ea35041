"""The lookup service beside Webdis and Feast's server, on one Redis and in one run: `python -m benchmarks.lookup`.

Each request has a moment at which it is due, and its latency counts from there. Authentication, rate limit and metrics
of the lookup service are on.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from benchmarks.command import add_output, report_console, run, warn, whole_number, write_json
from benchmarks.lookup_load.generator import Generator
from benchmarks.lookup_load.scenarios import SCENARIOS, Result
from benchmarks.lookup_load.scenarios import run as run_scenario
from benchmarks.lookup_load.stock import fill
from benchmarks.lookup_load.targets import FEAST, OURS, UNCACHED, WEBDIS, targets
from benchmarks.machine import Machine, look_at_machine
from benchmarks.stack import redis_alone
from instrument_cache.contract import load_contract
from local_stack.instance import DATASET, PROJECT

# Room for the hot keys and about as many others: what is rarely asked for must not all fit.
CACHE_BYTES: Final = 16 * 1024 * 1024
_OURS: Final = {OURS, UNCACHED}


@dataclass(frozen=True)
class LookupReport:
    """What was asked of which server, in the order of `SCENARIOS`."""

    machine: Machine
    keys: int
    results: tuple[Result, ...]

    def ratio(self, result: Result, peer: str) -> float | None:
        """This server's requests per second ÷ the peer's in the same scenario."""
        for other in self.results:
            if other.scenario is result.scenario and other.target == peer and other.per_s:
                return result.per_s / other.per_s
        return None


def main() -> int:
    """0 if every request was answered as it should be, 1 if not."""
    options = _options()
    report = run(lambda status: measure(options, status))
    if report is None:
        return 1
    show(report, report_console())
    write_json(options.json, as_json(report))
    return 1 if any(result.errors for result in report.results if result.target in _OURS) else 0


def measure(options: argparse.Namespace, status: Callable[[str], None]) -> LookupReport:
    """Raises InstrumentCacheError if it cannot be run to its end."""
    machine = look_at_machine()
    contract = load_contract(PROJECT / "contracts" / f"{DATASET}.yaml")
    results: list[Result] = []
    with redis_alone(options.logs, status) as instance:
        generator = Generator(instance.folder("run"))
        status(f"putting {options.keys:,} instruments into Redis")
        keys = fill(instance.redis_url, contract, options.keys)
        status("starting the servers")
        logs = instance.folder("log")
        with targets(instance, contract, keys, CACHE_BYTES, logs, with_feast=not options.no_feast) as servers:
            for scenario in SCENARIOS:
                status(scenario.name)
                results += run_scenario(scenario, servers, generator, keys, options.rounds, options.seconds)
    return LookupReport(machine, options.keys, tuple(results))


def as_json(report: LookupReport) -> dict[str, Any]:
    """Everything in the report, in units that the names tell."""
    return {
        "machine": {**asdict(report.machine), "was_idle": report.machine.is_idle},
        "keys": report.keys,
        "cache_bytes": CACHE_BYTES,
        "results": [_result_json(report, result) for result in report.results],
    }


def _result_json(report: LookupReport, result: Result) -> dict[str, Any]:
    found: dict[str, Any] = {
        "scenario": result.scenario.name,
        "server": result.target,
        "requests_per_s": round(result.per_s, 1),
        "ids_per_s": round(result.per_s * result.scenario.ids, 1),
        "errors": result.errors,
        "hit_share": None if result.hit_share is None else round(result.hit_share, 4),
        **{f"{name}_us": result.latency_us(name) for name in ("p50", "p95", "p99", "p999", "max")},
        "rounds": [round(load.per_s, 1) for load in result.loads],
    }
    if result.target in _OURS:
        ratios = {peer: report.ratio(result, peer) for peer in (WEBDIS, FEAST)}
        found["ratios"] = {peer: round(ratio, 3) for peer, ratio in ratios.items() if ratio is not None}
    return found


def show(report: LookupReport, console: Console) -> None:
    """Print the machine and one table."""
    for line in report.machine.lines():
        console.print(line, highlight=False, soft_wrap=True)
    console.print(f"{report.keys:,} instruments; a cache of {CACHE_BYTES // 2**20} MiB in each of our workers")
    table = Table(
        "", "server", "requests/s", "ids/s", "ratio", "hits", "p50 ms", "p95 ms", "p99 ms", "max ms", "errors"
    )
    for column in table.columns[2:]:
        column.justify = "right"
    for result in report.results:
        table.add_row(*_row(report, result), end_section=result is report.results[-1])
    console.print(table)
    warn(console, was_idle=report.machine.is_idle)


def _row(report: LookupReport, result: Result) -> list[str]:
    ours = next((r for r in report.results if r.scenario is result.scenario and r.target in _OURS), None)
    ratio = ""
    if ours is not None and result is not ours and result.scenario.rate == 0:
        with suppress(ZeroDivisionError):
            ratio = f"ours is {ours.per_s / result.per_s:.2f} x"
    latencies = [f"{result.latency_us(name) / 1000:.2f}" for name in ("p50", "p95", "p99", "max")]
    ids = f"{result.per_s * result.scenario.ids:,.0f}" if result.scenario.ids > 1 else ""
    hits = "" if result.hit_share is None else f"{result.hit_share:.0%}"
    return [
        result.scenario.name,
        result.target,
        f"{result.per_s:,.0f}",
        ids,
        ratio,
        hits,
        *latencies,
        f"{result.errors}",
    ]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.lookup", description=__doc__)
    parser.add_argument("--keys", type=whole_number(10_000, 10_000_000), default=100_000, help="instruments in Redis")
    parser.add_argument("--rounds", type=whole_number(1, 100), default=3, help="of each server in each scenario")
    parser.add_argument("--seconds", type=whole_number(1, 600), default=5, help="that a round measures")
    parser.add_argument("--no-feast", action="store_true", help="leave out Feast, which takes minutes to be filled")
    add_output(parser)
    options: argparse.Namespace = parser.parse_args()
    options.logs = Path(options.logs) if options.logs else None
    return options


if __name__ == "__main__":
    sys.exit(main())
