"""Which letters are meant: by reason code, time, key and position."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from instrument_cache.dead_letters.letter import DeadLetter, key_text
from instrument_cache.errors import DeadLetterError


@dataclass(frozen=True, slots=True)
class LetterFilter:
    """Every letter that has one of the `codes`, of the `keys` and of the `positions` (empty: any) and was written in
    [`since_us`, `until_us`) (microseconds since 1970; None: open)."""

    codes: frozenset[str] = frozenset()
    keys: frozenset[str] = frozenset()
    positions: frozenset[str] = frozenset()
    since_us: int | None = None
    until_us: int | None = None

    def __post_init__(self) -> None:
        if self.since_us is not None and self.until_us is not None and self.since_us >= self.until_us:
            raise DeadLetterError(
                f"the time from {_iso(self.since_us)} to {_iso(self.until_us)} is empty; `until` must be after `since`"
            )

    def matches(self, letter: DeadLetter, key_field: str) -> bool:
        """`key_field` names the field of a record that holds its key."""
        return (
            (not self.codes or letter.code in self.codes)
            and (not self.positions or letter.position in self.positions)
            and self.covers(letter.time_us, letter.time_us)
            and (not self.keys or key_text(letter, key_field) in self.keys)
        )

    def covers(self, first_us: int, last_us: int) -> bool:
        """True if a letter written in [first, last] may match."""
        return (self.until_us is None or first_us < self.until_us) and (
            self.since_us is None or last_us >= self.since_us
        )

    def as_json(self) -> dict[str, object]:
        """For the audit record."""
        return {
            "codes": sorted(self.codes),
            "keys": sorted(self.keys),
            "positions": sorted(self.positions),
            "since": _iso(self.since_us),
            "until": _iso(self.until_us),
        }


def select(letters: Iterable[DeadLetter], wanted: LetterFilter, key_field: str) -> Iterator[DeadLetter]:
    """The letters that match, each record once: a job that starts from the log's beginning rejects it again."""
    seen: set[str] = set()
    for letter in letters:
        if wanted.matches(letter, key_field) and letter.identity not in seen:
            seen.add(letter.identity)
            yield letter


def _iso(time_us: int | None) -> str | None:
    return None if time_us is None else datetime.fromtimestamp(time_us / 1_000_000, UTC).isoformat()
