"""The table in docs/reliability.md. A run replaces the rows of the faults that it did and leaves the others."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from benchmarks.machine import cpu_model
from local_stack.instance import PROJECT
from tests.faults.checker import NAMES, tally
from tests.faults.naming import Named
from tests.faults.rounds import Round

PAGE: Final = PROJECT / "docs" / "reliability.md"
BEGIN: Final = "<!-- written by make test-faults -->"
END: Final = "<!-- end -->"
COLUMNS: Final = (
    *("fault", "rounds", "seed", "changes during faults", "recovery, longest (s)", "doctor (s)", "page (s)"),
    *("missing", "stale", "extra", "regressions", "account", "other", "date"),
)
# Findings that have a column of their own, and into which the others go.
_ACCOUNT: Final = ("uncounted", "double_counted", "account")
_NAMED: Final = ("missing", "stale", "extra", "regression", *_ACCOUNT)


def row(rounds: Sequence[Round], date: str) -> str:
    """One line of the table: all rounds of one fault."""
    found = sum((tally(done.findings) for done in rounds), Counter[str]())
    other = sum(found[name] for name in NAMES if name not in _NAMED)
    wrong = sum(found[name] for name in _ACCOUNT)
    account = f"{wrong} wrong" if wrong else "exact"
    cells = [
        *(rounds[0].fault, len(rounds), rounds[0].seed, sum(done.changes for done in rounds)),
        f"{max(done.recovery_s for done in rounds):.0f}",
        *(latest([done.named for done in rounds]), latest([done.shown for done in rounds])),
        *(found["missing"], found["stale"], found["extra"], found["regression"], account, other, date),
    ]
    return f"| {' | '.join(map(str, cells))} |"


def latest(named: Sequence[Named | None]) -> str:
    """After how many seconds it was named at the latest."""
    seconds = [each.after_s for each in named if each]
    return f"{max(seconds):.0f}" if len(seconds) == len(named) else "never"


def merged(
    text: str,
    rows: Iterable[str],
    machine: str,
    marks: tuple[str, str] = (BEGIN, END),
    columns: Sequence[str] = COLUMNS,
) -> str:
    """The page with new rows in the table between the marks, in place of those of the same faults."""
    begin, end = marks
    before, _, rest = text.partition(begin)
    old, _, after = rest.partition(end)
    lines = {_fault(line): line for line in [*re.findall(r"^\| [a-z][a-z0-9-]* \|.*$", old, re.MULTILINE)[1:], *rows]}
    table = ["| " + " | ".join(columns) + " |", "| --- " * len(columns) + "|", *lines.values()]
    return f"{before}{begin}\nMachine: {machine}.\n\n" + "\n".join(table) + f"\n{end}{after}"


def write(rounds: Sequence[Round], page: Path = PAGE) -> None:
    """Put the rounds into the page."""
    date = datetime.now(UTC).date().isoformat()
    faults = dict.fromkeys(done.fault for done in rounds)
    rows = [row([done for done in rounds if done.fault == fault], date) for fault in faults]
    page.write_text(merged(page.read_text(encoding="utf-8"), rows, machine()), encoding="utf-8")


def machine() -> str:
    """The machine's shape in words."""
    memory_gb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    cores = len(os.sched_getaffinity(0))
    return f"{cores} cores of {cpu_model(Path('/proc/cpuinfo').read_text())}, {memory_gb:.0f} GB, {os.uname().release}"


def _fault(line: str) -> str:
    return line.split("|")[1].strip()
