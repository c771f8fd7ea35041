"""What the comparison with other sinks found, as tables and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from benchmarks.drain import SUBMISSION
from benchmarks.peer import OWN_IDLE, PeerReport, PeerRun, PeersReport
from benchmarks.peer_check import PeerCheck
from benchmarks.peer_scenarios import ScenarioResult
from benchmarks.peer_stack import RUNNING
from benchmarks.span import Span

PARTS: Final = ("connect", "redis", "kafka", OWN_IDLE, SUBMISSION)
# What neither side needs for its work.
_NOT_ITS_WORK: Final = frozenset({OWN_IDLE, SUBMISSION})


@dataclass(frozen=True)
class Ratio:
    """Ours ÷ theirs, medians of all drains. None where the other sink came to a stand."""

    records_per_s: float
    cpu: float


def ratio(own: Sequence[Span], runs: Sequence[PeerRun]) -> Ratio | None:
    """The CPU is that of all processes that a sink works with: Kafka and Redis too, and not the benchmark's own."""
    theirs = [run.spans[0] for run in runs if run.spans]
    if not theirs or not own:
        return None
    return Ratio(
        median(span.records_per_s for span in own) / median(span.records_per_s for span in theirs),
        median(map(cpu_us, own)) / median(map(cpu_us, theirs)),
    )


def cpu_us(span: Span) -> float:
    """CPU µs per record of what does the work."""
    return sum(us for part, us in span.cpu_us_per_record().items() if part not in _NOT_ITS_WORK)


def as_json(report: PeersReport) -> dict[str, Any]:
    return {
        "own_scenarios": [asdict(result) for result in report.own_scenarios],
        "sinks": [_peer_as_json(report, peer) for peer in report.peers],
    }


def _peer_as_json(report: PeersReport, peer: PeerReport) -> dict[str, Any]:
    found = ratio(report.own, peer.runs)
    return {
        "connector_class": peer.sink.connector_class,
        "properties": peer.sink.properties,
        "ratio_ours_to_theirs": asdict(found) if found else None,
        "runs": [_run_as_json(run) for run in peer.runs],
        "scenarios": [asdict(result) for result in peer.scenarios],
    }


def _run_as_json(run: PeerRun) -> dict[str, Any]:
    names = ("whole", "second_half")
    return {
        "state": run.state,
        "why": run.why,
        **{name: _span_as_json(span) for name, span in zip(names, run.spans, strict=False)},
        "keys": run.check._asdict(),
    }


def _span_as_json(span: Span) -> dict[str, Any]:
    return {
        "records_per_s": round(span.records_per_s),
        "seconds": round(span.seconds, 3),
        "records": span.records,
        "cpu_us_per_record": {part: round(us, 3) for part, us in span.cpu_us_per_record().items()},
        "others_cores": round(span.others_cores, 3),
    }


def show(report: PeersReport, console: Console) -> None:
    """One table of speed and of keys for each sink, and one of the small inputs for all."""
    for peer in report.peers:
        console.print(f"\n{peer.sink.connector_class}", style="bold", highlight=False)
        console.print(_speed(report, peer))
        for run in peer.runs:
            if run.why:
                console.print(f"{run.state}: {run.why}", style="red", markup=False, soft_wrap=True)
        console.print(_keys(peer))
    console.print(_scenarios(report))


def _speed(report: PeersReport, peer: PeerReport) -> Table:
    table = _table(
        "", *(name for at in range(len(peer.runs)) for name in (f"run {at + 1}", "2nd half")), "ours ÷ theirs"
    )
    cells = [span for run in peer.runs for span in (run.spans or (None, None))]
    found = ratio(report.own, peer.runs)

    def row(name: str, value: Any, last: str = "", style: str = "") -> None:
        table.add_row(name, *("" if span is None else value(span) for span in cells), last, style=style)

    row("records/s", lambda span: f"{span.records_per_s:,.0f}", f"{found.records_per_s:.2f}" if found else "", "bold")
    row("seconds", lambda span: f"{span.seconds:.2f}")
    row("other programs, cores", lambda span: f"{span.others_cores:.2f}")
    table.add_section()
    row("CPU µs per record", lambda span: f"{cpu_us(span):.2f}", f"{found.cpu:.2f}" if found else "")
    for part in PARTS:
        row(f"  {part}", lambda span, part=part: f"{span.cpu_us_per_record().get(part, 0.0):.2f}")
    return table


def _keys(peer: PeerReport) -> Table:
    table = _table("what a reader gets afterwards", *(f"run {at + 1}" for at in range(len(peer.runs))))
    for name in PeerCheck._fields:
        table.add_row(_KEYS[name], *(f"{getattr(run.check, name):,}" for run in peer.runs))
    table.add_row("the task is", *(run.state for run in peer.runs))
    return table


_KEYS: Final = {
    "right": "keys right",
    "older": "keys older than what was sent",
    "alive": "keys alive that were deleted",
    "deletion_as_value": "keys that answer with the deletion's record",
    "broken": "keys that answer with a broken record",
    "other": "keys with other bytes of the same version",
    "missing": "keys missing",
    "own": "keys of the sink's own",
}


def _scenarios(report: PeersReport) -> Table:
    names = [peer.sink.connector_class.rpartition(".")[0] for peer in report.peers]
    table = _table("instruments wrong, of all", "the product", *names)
    sides = [report.own_scenarios, *(peer.scenarios for peer in report.peers)]
    for results in zip(*sides, strict=True):
        table.add_row(results[0].name, *map(outcome, results))
    return table


def outcome(result: ScenarioResult) -> str:
    """`0 of 500`, and what the sink says if it is not that it took all and runs."""
    text = f"{result.wrong:,} of {result.of:,}"
    if not result.claims:
        return f"{text}, {result.state}"
    lost = ", and says nothing of it" if result.wrong else ""
    return f"{text}{lost}" if result.state == RUNNING else f"{text}, {result.state}"


def _table(*columns: str) -> Table:
    table = Table(*columns)
    for column in table.columns[1:]:
        column.justify = "right"
    return table
