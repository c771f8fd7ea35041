"""What the operations came to: equality, quality, drills, error budgets, and any other that has a report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from instrument_cache.doctor.model import Severity
from instrument_cache.overview.limits import BUDGETS, DRILL, EQUALITY, QUALITY, AgeLimits
from instrument_cache.overview.model import Fact, Plot, Point, Tile
from instrument_cache.overview.words import age_s, number_text, span_text
from instrument_cache.reports import OPERATIONS, Report, Summary, name_of_run


@dataclass(frozen=True, slots=True)
class Line:
    """One number of an operation that is worth a plot. `factor`: from the report's unit to the plot's.

    `limit` is the name of its target among the `targets` of a report, if it has one.
    """

    number: str
    title: str
    unit: str
    factor: float = 1.0
    limit: str = ""


@dataclass(frozen=True, slots=True)
class Shown:
    """How an operation is shown. `number` is the headline's. `ages` None: without a schedule it is never too old."""

    operation: str
    title: str
    dag: str
    ages: AgeLimits | None = None
    number: str = ""
    unit: str = ""
    factor: float = 1.0
    lines: tuple[Line, ...] = ()


SHOWN: Final = (
    Shown(
        "reconcile", "Equality with the source", "cache_reconcile", EQUALITY, "equal_ratio", "%", 100.0,
        (Line("differences", "Differences found", "keys"), Line("keys", "Keys of the source", "keys")),
    ),
    Shown(
        "data_quality", "Data quality", "data_quality", QUALITY, "kept_ratio", "%", 100.0,
        (Line("kept_ratio", "Rules that were kept", "%", 100.0),),
    ),
    Shown(
        "slo_report", "Error budgets", "slo_report", BUDGETS, "budget_left_min_percent", "% left",
        lines=tuple(
            Line(f"{name}_left_percent", f"Budget of {name}", "% left")
            for name in ("freshness", "availability", "latency", "equality")
        ),
    ),
    Shown(
        "failover_drill", "Drill: the primary is lost", "failover_drill", DRILL, "write_gap_s", "s write gap",
        lines=(Line("write_gap_s", "Write gap", "s", limit="write_gap_s_max"),),
    ),
    Shown(
        "dr_drill", "Drill: a region is lost", "dr_drill", DRILL, "rto_s", "s RTO",
        lines=(
            Line("rto_s", "RTO: until the region served", "s", limit="rto_s_max"),
            Line("rpo_s", "RPO: changes that it lacked", "s", limit="rpo_s_max"),
        ),
    ),
    Shown("stream_upgrade", "Stream upgrade", "stream_upgrade"),
    Shown("restore", "Restore", "cache_restore"),
)  # fmt: skip
# These have a tile of their own, made of more than their report.
_ELSEWHERE: Final = frozenset({"backup"})
TRENDS: Final = tuple(shown.operation for shown in SHOWN if shown.lines)


def operation_tiles(
    summaries: Mapping[str, Summary], trends: Mapping[str, Sequence[Report]], now: datetime
) -> list[Tile]:
    """One for each operation that runs by itself, whether it ever did or not, and for each other one with a report."""
    named = {shown.operation for shown in SHOWN} | _ELSEWHERE
    others = tuple(Shown(name, name.replace("_", " ").capitalize(), name) for name in summaries if name not in named)
    return [
        _tile(shown, summaries.get(shown.operation), trends.get(shown.operation, ()), now)
        for shown in (*SHOWN, *others)
        if shown.operation in summaries or (shown.ages and shown.operation in OPERATIONS)
    ]


def _tile(shown: Shown, summary: Summary | None, trend: Sequence[Report], now: datetime) -> Tile:
    if summary is None:
        return _never(shown)
    seconds = age_s(summary.finished_at, now)
    severity = _severity(shown, summary, seconds)
    return Tile(
        part=shown.operation,
        title=shown.title,
        severity=severity,
        value=_headline(shown, summary),
        sentence=summary.sentence,
        mend=_mend(shown, summary, seconds, severity),
        runbook=shown.dag,
        dag=shown.dag,
        report=_report(shown.operation, trend, summary),
        facts=(Fact("Proved", f"{span_text(seconds)} ago"), *_numbers(summary)),
        plots=tuple(plot for line in shown.lines if (plot := _plot(line, trend))),
    )


def _never(shown: Shown) -> Tile:
    return Tile(
        part=shown.operation,
        title=shown.title,
        severity="warn",
        value="never ran",
        sentence=f"There is no report of {shown.operation} yet, so nothing is proved.",
        mend=f"Is {shown.dag} switched on? Start it once.",
        runbook=shown.dag,
        dag=shown.dag,
    )


def _severity(shown: Shown, summary: Summary, seconds: float) -> Severity:
    if not summary.ok or (shown.ages and seconds > shown.ages.red_s):
        return "red"
    return "warn" if shown.ages and seconds > shown.ages.warn_s else "ok"


def _mend(shown: Shown, summary: Summary, seconds: float, severity: Severity) -> str:
    if severity == "ok":
        return ""
    if not summary.ok:
        return f"Read the report, mend its cause and start {shown.dag} again."
    return f"The proof is {span_text(seconds)} old. See why {shown.dag} did not run, and start it."


def _headline(shown: Shown, summary: Summary) -> str:
    number = summary.numbers.get(shown.number)
    if number is None:
        return "good" if summary.ok else "failed"
    if shown.unit == "%":
        # Never rounded up to what is not so.
        return f"{int(number * shown.factor * 1e4) / 1e4:g} %"
    return f"{number_text(number * shown.factor)} {shown.unit}".strip()


def _numbers(summary: Summary) -> list[Fact]:
    return [Fact(name.replace("_", " "), number_text(number)) for name, number in summary.numbers.items()]


def _report(operation: str, trend: Sequence[Report], summary: Summary) -> str:
    found = next((each for each in reversed(trend) if each.run_id == summary.run_id), None)
    if found is None:  # the summary does not say under which day it lies: the page looks for it
        return f"runs/{operation}/{name_of_run(summary.run_id)}"
    return f"reports/{operation}/{found.started_at[:10]}/{name_of_run(found.run_id)}"


def _plot(line: Line, trend: Sequence[Report]) -> Plot | None:
    """None of fewer than two runs: a dot is no trend."""
    points = tuple(
        Point(report.started_at, report.numbers[line.number] * line.factor, report.ok)
        for report in trend
        if line.number in report.numbers
    )
    if len(points) < 2:
        return None
    targets = trend[-1].details.get("targets")
    limit = targets.get(line.limit) if isinstance(targets, dict) and line.limit else None
    return Plot(line.title, line.unit, points, float(limit) if isinstance(limit, int | float) else None)
