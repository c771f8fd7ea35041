"""What every versioned store does. The Redis store and its in-memory twin pass one contract suite."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, Protocol

# One letter per key, as the guard answers. The capitals were decided between equal versions: a tie.
APPLIED: Final = "a"
DUPLICATE: Final = "d"
STALE: Final = "s"
TIE_APPLIED: Final = "A"
TIE_STALE: Final = "S"


class VersionedStore(Protocol):
    """Keeps under each key the largest bytes that it was ever offered (see `instrument_cache.change`)."""

    def offer(self, values: Mapping[str, bytes], expires_at_ms: Mapping[str, int] | None = None) -> str:
        """Offer bytes under full keys (`instr:037833100`); keys in `expires_at_ms` get that absolute expiry.

        Returns one outcome letter per key, in order. All of it has happened when this returns. Raises StoreUnavailable;
        then any part may have happened, and offering the same again ends in the same state.
        """
        ...

    def get_many(self, keys: Sequence[str]) -> list[bytes | None]:
        """The stored bytes, tombstones included, or None per key. Raises StoreUnavailable."""
        ...

    def scan(self, prefix: str) -> Iterator[tuple[str, bytes]]:
        """Every (key, bytes) whose key begins with `prefix:`; keys that change meanwhile may be old or new."""
        ...

    def count(self, counters: Mapping[str, int]) -> None:
        """Add to the store's running counters of outcomes. Raises StoreUnavailable."""
        ...

    def counters(self) -> dict[str, int]:
        """The running counters."""
        ...
