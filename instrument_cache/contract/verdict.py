"""One change of a contract, and whom it breaks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

NOBODY: Final[tuple[str, ...]] = ()
READERS: Final = ("readers",)
WRITERS: Final = ("writers",)
BOTH: Final = (*READERS, *WRITERS)


@dataclass(frozen=True, slots=True)
class Change:
    """`entry` is the field, or the entry of the contract, that changed; `fix` says how not to break anybody."""

    entry: str
    what: str
    breaks: tuple[str, ...]
    fix: str

    @property
    def verdict(self) -> str:
        """`compatible`, `breaks readers`, `breaks writers` or `breaks readers and writers`."""
        return f"breaks {' and '.join(self.breaks)}" if self.breaks else "compatible"
