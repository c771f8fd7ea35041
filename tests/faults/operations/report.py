"""The second table in docs/reliability.md: what faults did to operations."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from tests.faults.operations.rounds import OperationRound
from tests.faults.report import PAGE, latest, machine, merged

MARKS: Final = ("<!-- operations, written by make test-faults -->", "<!-- end of operations -->")
FINDINGS: Final = ("cache", "foreign", "left", "report", "backup", "archive", "end", "other")
COLUMNS: Final = (
    *("fault", "rounds", "seed", "tries, most", "whole after, longest (s)", "doctor (s)", "page (s)"),
    *(*FINDINGS, "date"),
)


def row(rounds: Sequence[OperationRound], date: str) -> str:
    """One line of the table: all rounds of one fault."""
    found = Counter(finding.name for done in rounds for finding in done.findings)
    cells = [
        *(rounds[0].fault, len(rounds), rounds[0].seed, max(done.tries for done in rounds)),
        f"{max(done.recovery_s for done in rounds):.0f}",
        *(latest([done.named for done in rounds]), latest([done.shown for done in rounds])),
        *(found[name] for name in FINDINGS),
        date,
    ]
    return f"| {' | '.join(map(str, cells))} |"


def write(rounds: Sequence[OperationRound], page: Path = PAGE) -> None:
    """Put the rounds into the page."""
    date = datetime.now(UTC).date().isoformat()
    faults = dict.fromkeys(done.fault for done in rounds)
    rows = [row([done for done in rounds if done.fault == fault], date) for fault in faults]
    text = merged(page.read_text(encoding="utf-8"), rows, machine(), MARKS, COLUMNS)
    page.write_text(text, encoding="utf-8")
