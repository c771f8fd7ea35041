"""What every versioned store does. The Redis store and its in-memory twin pass one contract suite."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple, Protocol

import msgspec

from instrument_cache.account import PartitionAccount
from instrument_cache.errors import InstrumentCacheError
from instrument_cache.lag import LagHistogram

# One letter per key, as the guard answers. The capitals were decided between equal versions: a tie.
APPLIED: Final = "a"
DUPLICATE: Final = "d"
STALE: Final = "s"
TIE_APPLIED: Final = "A"
TIE_STALE: Final = "S"
# The slot of a key whose outcome goes into no account.
NO_SLOT: Final = 0


class Position(msgspec.Struct, frozen=True):
    """How far a partition is accounted: all that decides which offsets are new."""

    start: int = -1
    next: int = -1
    holes: tuple[tuple[int, int], ...] = ()

    @property
    def is_new(self) -> bool:
        """True if nothing of the partition was accounted yet."""
        return self.next < 0


class Entry(msgspec.Struct, frozen=True):
    """What one batch adds to the account of one partition.

    It is added only where the account still stands at `before`; the outcomes of the keys that were offered in the slot
    are added to `counts`, which has those that the store did not decide.
    """

    partition: int
    slot: int
    before: Position
    after: Position
    counts: Mapping[str, int]


class Replacement(NamedTuple):
    """What a repair wants of one full key: `new` in the place of exactly `seen`; see `VersionedStore.replace`."""

    key: str
    seen: bytes | None
    new: bytes | None
    expires_at_ms: int = 0


class NotSettled(InstrumentCacheError):
    """The batch is to be applied again, with the positions as they are now; nothing of it was accounted.

    Another worker settled one of the partitions meanwhile, or the store went back, or it had forgotten its scripts.
    """


class Exchange(Protocol):
    """One batch on its way into the store. What is offered is on its way at once; `finish` awaits all of it."""

    def offer(self, values: Mapping[str, bytes], expires_at_ms: Mapping[str, int], slots: bytes) -> None:
        """Offer bytes under full keys, as `VersionedStore.offer` does. `slots` has one byte for each key."""
        ...

    def drop(self) -> None:
        """Give up: what was offered may have happened."""
        ...

    def finish(self, entries: Sequence[Entry], lags: Mapping[str, int]) -> None:
        """Settle the account and add to the lag histograms, behind the offers and before this returns.

        Raises NotSettled if an entry does not fit: then no entry was added. Raises StoreUnavailable: then any part
        may have happened, and the same batch applied again ends in the same state and the same account.
        """
        ...


class VersionedStore(Protocol):
    """Keeps under each key the largest bytes that it was ever offered (see `instrument_cache.change`)."""

    def offer(self, values: Mapping[str, bytes], expires_at_ms: Mapping[str, int] | None = None) -> str:
        """Offer bytes under full keys (`instr:037833100`); keys in `expires_at_ms` get that absolute expiry.

        Returns one outcome letter per key, in order. All of it has happened when this returns. Raises StoreUnavailable;
        then any part may have happened, and offering the same again ends in the same state.
        """
        ...

    def exchange(self) -> Exchange:
        """Begin a batch whose outcomes are accounted. To be finished, or dropped, before the next one is begun."""
        ...

    def get_many(self, keys: Sequence[str]) -> list[bytes | None]:
        """The stored bytes, tombstones included, or None per key. Raises StoreUnavailable."""
        ...

    def replace(self, key: str, seen: bytes | None, new: bytes | None, expires_at_ms: int = 0) -> bool:
        """Put `new` in the place of exactly the bytes `seen`; True if it was done. For repairs alone.

        It is bound to no order, so it may put back what the guard would keep. `seen` None: nothing that is of the store
        is held; `new` None: remove the key. Raises StoreUnavailable; then it may have happened: read what is held.
        """
        ...

    def replace_many(self, replacements: Sequence[Replacement]) -> list[bool]:
        """The same for many keys, all different; one result per key, in order. Raises StoreUnavailable."""
        ...

    def unequal(self, expected: Mapping[str, bytes]) -> list[str]:
        """Those of the full keys that do not hold exactly these bytes, in order. Raises StoreUnavailable."""
        ...

    def foreign(self, keys: Sequence[str]) -> set[str]:
        """Those of the keys that are there and hold no bytes: of another Redis type. Raises StoreUnavailable."""
        ...

    def keys(self, *prefixes: str) -> Iterator[list[bytes]]:
        """Every key that begins with one of `prefixes` and a colon, in pages, whatever it holds; one may come twice.

        Keys that come or go meanwhile may be missing. Raises StoreUnavailable.
        """
        ...

    def scan(self, prefix: str) -> Iterator[tuple[str, bytes]]:
        """Every (key, bytes) whose key begins with `prefix:`; keys that change meanwhile may be old or new."""
        ...

    def positions(self, partitions: Sequence[int]) -> dict[int, Position]:
        """How far each of these partitions is accounted. Raises StoreUnavailable."""
        ...

    def accounts(self) -> dict[int, PartitionAccount]:
        """The account of every partition. Raises StoreUnavailable."""
        ...

    def counters(self) -> dict[str, int]:
        """The accounts' sums over all partitions (`instrument_cache.account.totals`). Raises StoreUnavailable."""
        ...

    def lags(self) -> dict[str, LagHistogram]:
        """{stage: histogram} of every change that was applied. Raises StoreUnavailable."""
        ...
