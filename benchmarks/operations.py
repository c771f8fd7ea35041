"""What the operations cost as the cache grows: `python -m benchmarks.operations`.

Each operation runs as its DAG's tasks do, in a process of its own, on a stack of its own.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib import import_module
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from benchmarks.command import add_output, report_console, run, warn, whole_number, write_json
from benchmarks.machine import Machine, look_at_machine
from benchmarks.operations_load.result import Goal, Measure, Result

# Each is a module of benchmarks.operations_load.
OPERATIONS: Final = ("reconcile", "backup", "restore", "drills", "quality")
SIZES: Final = (100_000, 300_000, 1_000_000)


@dataclass(frozen=True)
class OperationsReport:
    """Results in the order of operations, then of sizes."""

    machine: Machine
    results: tuple[Result, ...]


def main() -> int:
    """0 if every operation did what it should, 1 if not. A goal that was missed is shown, and is no failure."""
    options = _options()
    report = run(lambda status: measure(options, status))
    if report is None:
        return 1
    show(report, report_console())
    write_json(options.json, as_json(report))
    return 1 if any(result.problems for result in report.results) else 0


def measure(options: argparse.Namespace, status: Callable[[str], None]) -> OperationsReport:
    """Raises InstrumentCacheError if it cannot be run to its end."""
    machine = look_at_machine()
    results = []
    for name in options.operation or OPERATIONS:
        operation: Measure = import_module(f"benchmarks.operations_load.{name}").measure
        for keys in options.keys or SIZES:
            results.append(operation(keys, options.logs, lambda text, at=f"{name}, {keys:,}: ": status(at + text)))  # type: ignore[misc]
    return OperationsReport(machine, tuple(results))


def as_json(report: OperationsReport) -> dict[str, Any]:
    """Everything in the report, in units that the names tell."""
    return {
        "machine": {**asdict(report.machine), "was_idle": report.machine.is_idle},
        "results": [_result_json(result) for result in report.results],
    }


def _result_json(result: Result) -> dict[str, Any]:
    return {
        "operation": result.operation,
        "keys": result.keys,
        "took_s": round(result.took_s, 2),
        "memory_mb": round(result.memory_mb, 1),
        "goals": [{**asdict(goal), "is_met": goal.is_met} for goal in result.goals],
        "figures": {name: round(value, 3) for name, value in result.figures.items()},
        "problems": list(result.problems),
    }


def show(report: OperationsReport, console: Console) -> None:
    """Print the machine and one table."""
    for line in report.machine.lines():
        console.print(line, highlight=False, soft_wrap=True)
    table = Table("operation", "instruments", "seconds", "memory MB", "goals", "figures")
    for column in table.columns[1:4]:
        column.justify = "right"
    for result in report.results:
        numbers = f"{result.keys:,}", f"{result.took_s:.1f}", f"{result.memory_mb:.0f}"
        figures = ", ".join(f"{name} {value:,.4g}" for name, value in result.figures.items())
        table.add_row(result.operation, *numbers, "\n".join(map(_goal, result.goals)), figures)
    console.print(table)
    for result in report.results:
        for problem in result.problems:
            console.print(f"WRONG: {result.operation} at {result.keys:,}: {problem}", style="red", soft_wrap=True)
    warn(console, was_idle=report.machine.is_idle)


def _goal(goal: Goal) -> str:
    return f"{goal.name} {goal.value:.4g} ≤ {goal.most:g}: {'met' if goal.is_met else 'MISSED'}"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.operations", description=__doc__)
    parser.add_argument("--operation", action="append", choices=OPERATIONS, help="only this one (repeatable)")
    sizes = f"instruments (repeatable; default: {', '.join(f'{size:,}' for size in SIZES)})"
    parser.add_argument("--keys", action="append", type=whole_number(1_000, 100_000_000), help=sizes)
    add_output(parser)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
