"""What the benchmarks' command lines have in common."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

from rich.console import Console

from instrument_cache.errors import InstrumentCacheError

Found = TypeVar("Found")
_WIDTH: Final = 160
_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


def run(measure: Callable[[Callable[[str], None]], Found]) -> Found | None:
    """Call `measure` with a function that shows what is going on. None if it failed, which is then told.

    A signal leaves through every `finally`, so that the stack is taken down.
    """
    for number in _SIGNALS:
        signal.signal(number, _end)
    console = Console(stderr=True)
    try:
        with console.status("looking at the machine") as status:
            return measure(status.update)
    except InstrumentCacheError as error:
        console.print(f"benchmark failed: {error}", style="red", markup=False)
        return None


def _end(number: int, frame: object) -> None:
    """A second signal must not break off what the first one began."""
    for other in _SIGNALS:
        signal.signal(other, signal.SIG_IGN)
    sys.exit(128 + number)


def report_console() -> Console:
    """Where a report goes: as wide as its tables where nobody looks at a terminal."""
    return Console() if sys.stdout.isatty() else Console(width=_WIDTH)


def warn(console: Console, *, was_idle: bool) -> None:
    """Say so if the figures are not those of an idle machine."""
    if not was_idle:
        text = "WARNING: other programs used the machine; the figures are not those of an idle one"
        console.print(text, style="red", soft_wrap=True)


def add_output(parser: argparse.ArgumentParser) -> None:
    """Where the report and the logs go."""
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the report there, too")
    parser.add_argument("--logs", type=Path, metavar="FOLDER", help="keep the logs of all parts there")


def write_json(path: Path | None, report: dict[str, Any]) -> None:
    """Write the report, if a file was given."""
    if path:
        path.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


def whole_number(low: int, high: int) -> Callable[[str], int]:
    """For argparse: a whole number in a range."""

    def parse(text: str) -> int:
        if not text.isdecimal() or not low <= int(text) <= high:
            raise argparse.ArgumentTypeError(f"{text!r} must be a whole number from {low} to {high}")
        return int(text)

    return parse
