"""What became of the entries of a backup, or would become."""

from __future__ import annotations

from typing import Final

import msgspec

from instrument_cache.store.interface import APPLIED, DUPLICATE, STALE, TIE_APPLIED, TIE_STALE

_OUTCOMES: Final = {
    APPLIED: "applied",
    TIE_APPLIED: "applied",
    DUPLICATE: "duplicate",
    STALE: "stale",
    TIE_STALE: "stale",
}


class Counts(msgspec.Struct):
    """`read` of the backup or of the log; the others add up to those of them that are of the scope.

    `applied`: written; `duplicate`: held already; `stale`: the cache held something newer, which stays; `expired`:
    their time to live is over, so they are not written; `rejected`: records that break a rule. Of a roll back alone:
    `replaced` and `removed`, and `moved`: changed by another writer in that moment, and left.
    """

    read: int = 0
    applied: int = 0
    duplicate: int = 0
    stale: int = 0
    expired: int = 0
    rejected: int = 0
    replaced: int = 0
    removed: int = 0
    moved: int = 0

    def add_letters(self, letters: str) -> None:
        """The guard's answer for some offers."""
        for letter, name in _OUTCOMES.items():
            found = letters.count(letter)
            if found:
                setattr(self, name, getattr(self, name) + found)

    @property
    def numbers(self) -> dict[str, float]:
        """Those that are not zero."""
        return {name: float(amount) for name, amount in msgspec.to_builtins(self).items() if amount}

    @property
    def text(self) -> str:
        """As people read it."""
        return ", ".join(f"{amount:.0f} {name}" for name, amount in self.numbers.items()) or "nothing"
