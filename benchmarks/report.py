"""What a stream benchmark found, as a table for people and as JSON for programs."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from statistics import median
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from benchmarks.command import warn
from benchmarks.cpu import PYTHON_WORKERS
from benchmarks.drain import SUBMISSION, Drain, counted
from benchmarks.machine import Machine, is_idle
from benchmarks.peer import PeersReport
from benchmarks.peer_report import as_json as peers_as_json
from benchmarks.peer_report import show as show_peers
from benchmarks.span import Span
from benchmarks.workload import Check

_PARTS: Final = ("flink-taskmanager", PYTHON_WORKERS, "redis", "kafka", "flink-jobmanager", "s3", SUBMISSION)


@dataclass(frozen=True)
class Run:
    """One drain and the check of every key after it."""

    drain: Drain
    check: Check
    outcomes_add_up: bool

    @property
    def is_exact(self) -> bool:
        return self.check.is_exact and self.outcomes_add_up


@dataclass(frozen=True)
class Report:
    """All runs over one preloaded log."""

    machine: Machine
    rows: int
    pme_percent: int
    parallelism: int
    record_bytes_mean: float
    runs: list[Run]
    peers: PeersReport | None = None

    @property
    def is_exact(self) -> bool:
        return all(run.is_exact for run in self.runs)

    @property
    def was_idle(self) -> bool:
        return self.machine.is_idle and all(is_idle(run.drain.whole.others_cores) for run in self.runs)


def outcomes_add_up(outcomes: dict[str, int], rows: int, rejected: int) -> bool:
    """Every record has exactly one outcome, and exactly the broken ones are rejected."""
    return counted(outcomes) == rows and outcomes.get("rejected", 0) == rejected


def as_json(report: Report) -> dict[str, Any]:
    """Everything in the report, in units that the names tell."""
    return {
        "machine": {**asdict(report.machine), "was_idle": report.was_idle},
        "rows": report.rows,
        "pme_percent": report.pme_percent,
        "parallelism": report.parallelism,
        "record_bytes_mean": round(report.record_bytes_mean, 1),
        "records_per_s_median": round(median(run.drain.whole.records_per_s for run in report.runs)),
        "exact": report.is_exact,
        "runs": [_run_as_json(run) for run in report.runs],
        "peers": peers_as_json(report.peers) if report.peers else None,
    }


def _run_as_json(run: Run) -> dict[str, Any]:
    return {
        **_span_as_json(run.drain.whole),
        "second_half": _span_as_json(run.drain.second_half),
        "outcomes": run.drain.outcomes,
        "keys": run.check._asdict(),
        "exact": run.is_exact,
    }


def _span_as_json(span: Span) -> dict[str, Any]:
    per_record = span.cpu_us_per_record()
    return {
        "records_per_s": round(span.records_per_s),
        "seconds": round(span.seconds, 3),
        "records": span.records,
        "cpu_us_per_record": {part: round(per_record.get(part, 0.0), 3) for part in _PARTS},
        "others_cores": round(span.others_cores, 3),
    }


def show(report: Report, console: Console) -> None:
    """Print the machine, one column per run, and what to make of it."""
    for line in (
        *report.machine.lines(),
        f"{report.rows:,} records of {report.record_bytes_mean:.0f} bytes on average; parallelism {report.parallelism}"
        f", {report.pme_percent} % of the instruments with an alias",
    ):
        console.print(line, highlight=False, soft_wrap=True)
    console.print(_speed(report))
    console.print(_outcome(report))
    if report.peers:
        show_peers(report.peers, console)
    warn(console, was_idle=report.was_idle)
    if not report.is_exact:
        console.print(
            "WRONG: the store does not hold what it must; see the rows above", style="bold red", soft_wrap=True
        )


def _speed(report: Report) -> Table:
    """Two columns per run: the whole of it, and its second half."""
    table = _table("", *(name for at in range(len(report.runs)) for name in (f"run {at + 1}", "2nd half")))
    spans = [span for run in report.runs for span in (run.drain.whole, run.drain.second_half)]
    cpu_us = [span.cpu_us_per_record() for span in spans]
    table.add_row("records/s", *(f"{span.records_per_s:,.0f}" for span in spans), style="bold")
    table.add_row("seconds", *(f"{span.seconds:.2f}" for span in spans))
    table.add_row("other programs, cores", *(f"{span.others_cores:.2f}" for span in spans))
    table.add_section()
    table.add_row("CPU µs per record", *(f"{sum(us.get(part, 0.0) for part in _PARTS):.2f}" for us in cpu_us))
    for part in _PARTS:
        table.add_row(f"  {part}", *(f"{us.get(part, 0.0):.2f}" for us in cpu_us))
    return table


def _outcome(report: Report) -> Table:
    table = _table("", *(f"run {at + 1}" for at in range(len(report.runs))))
    outcomes = [run.drain.outcomes for run in report.runs]
    for name in sorted(set().union(*outcomes)):
        table.add_row(name, *(f"{counts.get(name, 0):,}" for counts in outcomes))
    table.add_row("outcomes add up", *("yes" if run.outcomes_add_up else "NO" for run in report.runs))
    table.add_section()
    for name in Check._fields:
        table.add_row(f"keys {name}", *(f"{getattr(run.check, name):,}" for run in report.runs))
    return table


def _table(*columns: str) -> Table:
    table = Table(*columns)
    for column in table.columns[1:]:
        column.justify = "right"
    return table
