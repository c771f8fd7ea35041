"""Letters counted: by code, hour, partition and state."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from instrument_cache.dead_letters.letter import DeadLetter

_CAME_IN = ("applied", "duplicate", "stale", "superseded", "rejected")


@dataclass
class Statistics:
    """How many letters there are. Hours are UTC (`2025-11-21T18`), partitions those of the change topic."""

    letters: int = 0
    value_bytes: int = 0
    oldest_us: int | None = None
    newest_us: int | None = None
    by_code: Counter[str] = field(default_factory=Counter)
    by_hour: Counter[str] = field(default_factory=Counter)
    by_partition: Counter[int] = field(default_factory=Counter)
    by_state: Counter[str] = field(default_factory=Counter)

    def add(self, letter: DeadLetter, state: str) -> None:
        self.letters += 1
        self.value_bytes += len(letter.value)
        self.oldest_us = min(letter.time_us, self.oldest_us or letter.time_us)
        self.newest_us = max(letter.time_us, self.newest_us or 0)
        self.by_code[letter.code] += 1
        self.by_hour[letter.time.strftime("%Y-%m-%dT%H")] += 1
        self.by_state[state] += 1
        if not letter.is_foreign:
            self.by_partition[letter.partition] += 1

    def as_json(self) -> dict[str, Any]:
        """By code the most frequent first, with their share (0 to 1) of the letters."""
        document = dict(vars(self), by_state=dict(self.by_state))
        shares = {code: round(count / self.letters, 6) for code, count in self.by_code.most_common()}
        for name in ("by_hour", "by_partition"):
            counts: Counter[Any] = getattr(self, name)
            document[name] = {str(at): counts[at] for at in sorted(counts)}
        return document | {"by_code": dict(self.by_code.most_common()), "share_by_code": shares}


def count(letters: Iterable[tuple[DeadLetter, str]]) -> Statistics:
    """Statistics of letters and their states."""
    statistics = Statistics()
    for letter, state in letters:
        statistics.add(letter, state)
    return statistics


def reject_share(counters: Mapping[str, int]) -> float | None:
    """The share (0 to 1) of all records that were rejected, by the store's counters; None if none came in."""
    total = sum(counters.get(name, 0) for name in _CAME_IN)
    return counters.get("rejected", 0) / total if total else None
