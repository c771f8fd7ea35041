"""Dead letters and replays as people and programs read them."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from instrument_cache.dead_letters.audit import Mark, Result
from instrument_cache.dead_letters.letter import DeadLetter, key_text
from instrument_cache.dead_letters.outcome import SETTLED, LetterOutcome
from instrument_cache.dead_letters.plan import Plan
from instrument_cache.dead_letters.service import state_of

_SHOWN_CHARACTERS: Final = 4000
_LINES: Final = 40


def row(letter: DeadLetter, marks: Mapping[str, Mark], key_field: str) -> dict[str, Any]:
    """A letter without its bytes."""
    return {
        "position": letter.position,
        "time": letter.time.isoformat(),
        "code": letter.code,
        "reason": letter.reason,
        "key": key_text(letter, key_field),
        "state": str(state_of(letter, marks)),
        "bytes": len(letter.value),
    }


def details(letter: DeadLetter, marks: Mapping[str, Mark], key_field: str) -> dict[str, Any]:
    """A letter with its bytes: `value` in base64, and `text` if they are text."""
    mark = marks.get(letter.identity)
    return row(letter, marks, key_field) | {
        "letter_position": f"{letter.letter_partition}-{letter.letter_offset}",
        "replay": mark and {"id": mark.replay_id, "outcome": str(mark.outcome)},
        "value": base64.b64encode(letter.value).decode(),
        "text": _text(letter.value),
    }


def _text(value: bytes) -> str | None:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return None


def print_letters(console: Console, rows: Sequence[Mapping[str, Any]], total: int) -> None:
    table = Table(box=None)
    for column in ("time", "position", "state", "code", "key", "reason"):
        table.add_column(column, no_wrap=column != "reason", overflow="fold")
    for found in rows:
        cells = (
            found["time"][:19],
            found["position"],
            found["state"],
            found["code"],
            found["key"] or "",
            found["reason"],
        )
        table.add_row(*(escape(_printable(cell)) for cell in cells))
    console.print(table)
    console.print(f"{len(rows)} of {total} letters.")


def print_details(console: Console, found: Mapping[str, Any]) -> None:
    for name in ("position", "letter_position", "time", "state", "code", "reason", "key", "bytes", "replay"):
        console.print(f"{name:<16} {escape(_printable(str(found[name])))}")
    text = found["text"] if found["text"] is not None else repr(base64.b64decode(found["value"]))
    console.print(escape(_printable(text[:_SHOWN_CHARACTERS])))
    if len(text) > _SHOWN_CHARACTERS:
        console.print(f"… {len(text) - _SHOWN_CHARACTERS} characters more; --json has all of them.")


def print_statistics(console: Console, document: Mapping[str, Any]) -> None:
    share = document["share_of_all_records"]
    console.print(f"letters          {document['letters']}, {document['value_bytes']} bytes")
    console.print(f"of all records   {'?' if share is None else f'{share:.4%}'}")
    for name in ("by_code", "by_state", "by_hour", "by_partition"):
        console.print(f"\n{name.replace('_', ' ')}")
        for label, count in document[name].items():
            note = f"  {document['share_by_code'][label]:.1%}" if name == "by_code" else ""
            console.print(f"  {escape(_printable(label)):<28} {count:>8}{note}")


def plan_document(plan: Plan, dry_run: bool) -> dict[str, Any]:
    return {
        "dry_run": dry_run,
        "counts": plan.counts,
        "left": plan.left,
        "replayed_before": plan.replayed,
        "letters": msgspec.to_builtins(plan.lines),
    }


def result_document(result: Result) -> dict[str, Any]:
    document: dict[str, Any] = msgspec.to_builtins(result)
    return {"dry_run": False, **document}


def print_plan(console: Console, plan: Plan) -> None:
    console.print(f"{len(plan.letters)} letters: {_counts(plan.counts)} (as the store is now).")
    if plan.left:
        console.print(f"{plan.left} more are beyond the limit.")
    if plan.replayed:
        console.print(f"{plan.replayed} were replayed before; --again takes them too.")


def print_outcomes(console: Console, lines: Sequence[LetterOutcome]) -> None:
    """The first lines of each outcome: what is left open before what is settled."""
    table = Table(box=None)
    for column in ("position", "code", "key", "outcome", "detail"):
        table.add_column(column, no_wrap=column not in ("key", "detail"), overflow="fold")
    for line in sorted(lines, key=lambda line: line.outcome in SETTLED)[:_LINES]:
        cells = (line.position, line.code, line.key or "", str(line.outcome), line.detail)
        table.add_row(*(escape(_printable(cell)) for cell in cells))
    console.print(table)
    if len(lines) > _LINES:
        console.print(f"… {len(lines) - _LINES} more; --json has all of them.")


def print_result(console: Console, result: Result) -> None:
    console.print(f"Replay {result.replay_id} is {result.status}: {_counts(result.counts)}.")
    if result.error:
        console.print(f"[red]{escape(_printable(result.error))}[/red]")


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in Counter(counts).most_common()) or "none"


def _printable(text: str) -> str:
    """What came from outside must not steer the terminal."""
    return "".join(character if character.isprintable() or character == "\n" else "�" for character in text)
