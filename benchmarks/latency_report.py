"""What the latency benchmark found, as a table for people and as JSON for programs."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from benchmarks.command import warn
from benchmarks.cpu import PYTHON_WORKERS
from benchmarks.listener import Cost
from benchmarks.machine import Machine, is_idle
from benchmarks.percentiles import SHARES
from benchmarks.span import Span

PUBLISHER: Final = "publisher"
LISTENER: Final = "listener"
_PARTS: Final = (
    *("flink-taskmanager", PYTHON_WORKERS, "redis", "kafka", "flink-jobmanager", "s3"),
    *("simulator", "feed", PUBLISHER, LISTENER),
)
_CLOCKS: Final = {"kafka": "written to Kafka → readable", "source": "published at the source → readable"}


@dataclass(frozen=True)
class Measured:
    """One clock. `unseen` records were never heard of; `wrong` instruments do not hold their last version.

    `lateness_ms` is how much later than due the publisher sent, which is part of the latency.
    """

    clock: str
    latency_ms: dict[str, float]
    count: int
    unseen: int
    wrong: int
    lateness_ms: dict[str, float]
    span: Span

    @property
    def is_whole(self) -> bool:
        return not self.unseen and not self.wrong


@dataclass(frozen=True)
class LatencyReport:
    """All clocks, measured on one running job."""

    machine: Machine
    parallelism: int
    rate_per_s: int
    seconds: int
    warm_up_s: int
    listening: Cost
    clocks: list[Measured]

    @property
    def is_whole(self) -> bool:
        return all(clock.is_whole for clock in self.clocks)

    @property
    def was_idle(self) -> bool:
        return self.machine.is_idle and all(is_idle(clock.span.others_cores) for clock in self.clocks)


def as_json(report: LatencyReport) -> dict[str, Any]:
    """Everything in the report, in units that the names tell."""
    return {
        "machine": {**asdict(report.machine), "was_idle": report.was_idle},
        "parallelism": report.parallelism,
        "rate_per_s": report.rate_per_s,
        "seconds": report.seconds,
        "warm_up_s": report.warm_up_s,
        "listening": asdict(report.listening),
        "whole": report.is_whole,
        "clocks": {clock.clock: _clock_as_json(clock) for clock in report.clocks},
    }


def _clock_as_json(clock: Measured) -> dict[str, Any]:
    return {
        "latency_ms": clock.latency_ms,
        "records": clock.count,
        "unseen": clock.unseen,
        "keys_wrong": clock.wrong,
        "lateness_of_publisher_ms": clock.lateness_ms,
        "cpu_cores": {part: round(_cores(clock.span, part), 3) for part in _PARTS},
        "others_cores": round(clock.span.others_cores, 3),
    }


def show(report: LatencyReport, console: Console) -> None:
    """Print the machine, one column per clock, and what to make of it."""
    for line in report.machine.lines():
        console.print(line, highlight=False, soft_wrap=True)
    console.print(
        f"{report.rate_per_s:,} records/s for {report.seconds} s after {report.warm_up_s} s of warm-up, which is in no "
        f"figure; parallelism {report.parallelism}",
        highlight=False,
        soft_wrap=True,
    )
    console.print(_table(report))
    cost_us, delay = report.listening.redis_us_per_key, report.listening.delay_ms
    console.print(
        f"Listening costs Redis {cost_us:.2f} µs per key and hears {delay['p50']:.2f} ms (p50), "
        f"{delay['p99']:.2f} ms (p99) after the writer has its answer; the figures contain this.",
        highlight=False,
        soft_wrap=True,
    )
    warn(console, was_idle=report.was_idle)
    if not report.is_whole:
        wrong = "WRONG: not every record became readable; see the rows above"
        console.print(wrong, style="bold red", soft_wrap=True)


def _table(report: LatencyReport) -> Table:
    table = Table("ms", *(_CLOCKS[clock.clock] for clock in report.clocks))
    for column in table.columns[1:]:
        column.justify = "right"
    for name in SHARES:
        table.add_row(name, *(_ms(clock.latency_ms, name) for clock in report.clocks), style="bold")
    table.add_row("publisher late, p99", *(_ms(clock.lateness_ms, "p99") for clock in report.clocks))
    table.add_section()
    table.add_row("records", *(f"{clock.count:,}" for clock in report.clocks))
    table.add_row("never readable", *(f"{clock.unseen:,}" for clock in report.clocks))
    table.add_row("instruments not at their last version", *(f"{clock.wrong:,}" for clock in report.clocks))
    table.add_section()
    table.add_row("other programs, cores", *(f"{clock.span.others_cores:.2f}" for clock in report.clocks))
    for part in _PARTS:
        table.add_row(f"  {part}, cores", *(f"{_cores(clock.span, part):.2f}" for clock in report.clocks))
    return table


def _ms(found: dict[str, float], name: str) -> str:
    return f"{found[name]:.1f}" if found else ""


def _cores(span: Span, part: str) -> float:
    return span.cpu_s.get(part, 0.0) / span.seconds
