"""What every source of instruments does. The simulator's adapter and the in-memory twin pass one contract suite."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, Protocol

import msgspec

from instrument_cache.errors import InstrumentCacheError

ROW_BYTES_MAX: Final = 16 * 1024 * 1024


class RowRefused(InstrumentCacheError):
    """A row that no source can take: it holds a line break, or is too large."""


class SnapshotBegin(msgspec.Struct, frozen=True, gc=False):
    """The rows that the source holds follow as puts, in the order of their keys.

    `position` is that of the newest message at this moment, `rows` the number of rows then. A row that changes while
    the snapshot is read may be in it in its old or new state; the change itself follows after the end.
    """

    topic: str = ""
    position: int = 0
    rows: int = 0


class Put(msgspec.Struct, frozen=True, gc=False):
    """A row, byte for byte as it was published. `key` is a content hash (`sha256:…`) if the row names no key.

    `timestamp_us` is the source's time of publishing, whole microseconds since 1970 (UTC), and `position` the message's
    number. Both strictly increase from one message of a topic to the next.
    """

    key: str
    payload: bytes
    timestamp_us: int
    position: int


class Delete(msgspec.Struct, frozen=True, gc=False):
    """A row was removed. `version` is that of the removed state: a delete orders just behind what it removes."""

    key: str
    version: int
    timestamp_us: int
    position: int


class SnapshotEnd(msgspec.Struct, frozen=True, gc=False):
    """Everything in the snapshot was sent: `rows` puts since the beginning. What follows is live."""

    rows: int = 0


class Heartbeat(msgspec.Struct, frozen=True, gc=False):
    """Nothing happened for a second, and the link is alive."""


SourceEvent = SnapshotBegin | Put | Delete | SnapshotEnd | Heartbeat


class Source(Protocol):
    """A topic that keeps the newest state per key and tells its changes. Every method may raise SourceUnavailable."""

    def subscribe(self) -> Iterator[SourceEvent]:
        """SnapshotBegin, a Put per row, SnapshotEnd, then every message as it comes; a Heartbeat each idle second.

        Each message published after SnapshotBegin comes after SnapshotEnd, in the order of positions and without a gap,
        also one that is older than the state held. The iterator blocks and never ends, but raises SourceUnavailable
        when the link broke, the reader was too slow, or the source was closed. Then subscribe again.
        """
        ...

    def snapshot(self) -> Iterator[SourceEvent]:
        """SnapshotBegin, a Put per row, SnapshotEnd; then the iterator ends."""
        ...

    def rows(self, keys: Sequence[str]) -> list[Put | None]:
        """The newest row of each key, in the order of `keys`; None where the source holds none."""
        ...

    def publish(self, rows: Iterable[bytes]) -> int:
        """Publish rows, whatever bytes they hold, and return their number. Empty rows are ignored.

        All of them are kept when this returns. Raises RowRefused for a row with a line break or over ROW_BYTES_MAX.
        After an error any of the rows may have been published; publishing them again ends in the same state.
        """
        ...

    def delete(self, keys: Iterable[str]) -> int:
        """Remove rows and return how many there were; keys that are not held are passed over."""
        ...

    def count(self) -> int:
        """The number of rows held."""
        ...

    def close(self) -> None:
        """Give back what is held. Iterators of other threads raise SourceUnavailable within a heartbeat."""
        ...


def check_row(row: bytes) -> bytes:
    """The row itself. Raises RowRefused, which names the rule."""
    if len(row) > ROW_BYTES_MAX:
        raise RowRefused(f"the row {row[:40]!r}… has {len(row)} bytes; at most {ROW_BYTES_MAX} are taken: split it")
    if b"\n" in row:
        raise RowRefused(f"the row {row[:40]!r} holds a line break, which separates rows: write its JSON on one line")
    return row
