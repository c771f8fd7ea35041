"""The in-memory twin of the Redis store, for tests that need no server."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from instrument_cache.account import PartitionAccount, totals
from instrument_cache.change import VERSION_AT, is_tombstone
from instrument_cache.clock import Clock, SystemClock
from instrument_cache.lag import LagHistogram, histograms
from instrument_cache.store.interface import (
    APPLIED,
    DUPLICATE,
    NO_SLOT,
    STALE,
    TIE_APPLIED,
    TIE_STALE,
    Entry,
    NotSettled,
    Position,
    Replacement,
)

# What a letter other than APPLIED adds to the counters of its slot, where every offer was counted as applied.
_CORRECTIONS: Final = {
    DUPLICATE: {"applied": -1, "duplicate": 1},
    STALE: {"applied": -1, "stale": 1},
    TIE_APPLIED: {"ties": 1},
    TIE_STALE: {"applied": -1, "stale": 1, "ties": 1},
}


class MemoryStore:
    """Implements `VersionedStore` in a dictionary."""

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._held: dict[str, tuple[bytes, int]] = {}
        self._positions: dict[int, Position] = {}
        self._counts: dict[int, Counter[str]] = {}
        self._lags: Counter[str] = Counter()

    def offer(self, values: Mapping[str, bytes], expires_at_ms: Mapping[str, int] | None = None) -> str:
        expiry = expires_at_ms or {}
        return "".join(self._offer(key, value, expiry.get(key, 0)) for key, value in values.items())

    def _offer(self, key: str, value: bytes, expires_at_ms: int) -> str:
        held = self._get(key)
        if held == value:
            return DUPLICATE
        tie = held is not None and _rank(held) == _rank(value)
        if held is not None and held > value:
            return TIE_STALE if tie else STALE
        self._held[key] = (value, expires_at_ms)
        return TIE_APPLIED if tie else APPLIED

    def _get(self, key: str) -> bytes | None:
        value, expires_at_ms = self._held.get(key, (None, 0))
        if expires_at_ms and expires_at_ms <= self._clock.now_us() // 1000:
            del self._held[key]
            return None
        return value

    def exchange(self) -> MemoryExchange:
        return MemoryExchange(self)

    def settle(
        self, entries: Sequence[Entry], corrections: Mapping[int, Counter[str]], lags: Mapping[str, int]
    ) -> None:
        """What the Redis store's script does. Raises NotSettled."""
        for entry in entries:
            held = self._positions.get(entry.partition, Position())
            if (held.next, held.holes) != (entry.before.next, entry.before.holes):
                raise NotSettled(f"partition {entry.partition} was settled by another worker")
        for entry in entries:
            self._positions[entry.partition] = entry.after
            counts = self._counts.setdefault(entry.partition, Counter())
            counts.update(entry.counts)
            counts.update(corrections.get(entry.slot, {}))
        self._lags.update(lags)

    def get_many(self, keys: Sequence[str]) -> list[bytes | None]:
        return [self._get(key) for key in keys]

    def replace(self, key: str, seen: bytes | None, new: bytes | None, expires_at_ms: int = 0) -> bool:
        if self._get(key) != seen:
            return False
        self._held.pop(key, None)
        if new is not None:
            self._held[key] = (new, expires_at_ms)
        return True

    def replace_many(self, replacements: Sequence[Replacement]) -> list[bool]:
        return [self.replace(*each) for each in replacements]

    def unequal(self, expected: Mapping[str, bytes]) -> list[str]:
        return [key for key, value in expected.items() if self._get(key) != value]

    def foreign(self, keys: Sequence[str]) -> set[str]:
        return set()  # here every key holds bytes

    def keys(self, *prefixes: str) -> Iterator[list[bytes]]:
        yield from ([key.encode() for key, _ in self.scan(prefix)] for prefix in prefixes)

    def scan(self, prefix: str) -> Iterator[tuple[str, bytes]]:
        for key in [key for key in self._held if key.startswith(f"{prefix}:")]:
            value = self._get(key)
            if value is not None:
                yield key, value

    def positions(self, partitions: Sequence[int]) -> dict[int, Position]:
        return {partition: self._positions.get(partition, Position()) for partition in partitions}

    def accounts(self) -> dict[int, PartitionAccount]:
        return {
            partition: PartitionAccount(
                partition, position.start, position.next, holes=position.holes, **self._counts[partition]
            )
            for partition, position in sorted(self._positions.items())
        }

    def counters(self) -> dict[str, int]:
        return totals(self.accounts())

    def lags(self) -> dict[str, LagHistogram]:
        return histograms(self._lags)


class MemoryExchange:
    """Implements `Exchange`."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store
        self._corrections: dict[int, Counter[str]] = {}

    def offer(self, values: Mapping[str, bytes], expires_at_ms: Mapping[str, int], slots: bytes) -> None:
        for slot, letter in zip(slots, self._store.offer(values, expires_at_ms), strict=False):
            if slot != NO_SLOT and letter != APPLIED:
                self._corrections.setdefault(slot, Counter()).update(_CORRECTIONS[letter])

    def finish(self, entries: Sequence[Entry], lags: Mapping[str, int]) -> None:
        self._store.settle(entries, self._corrections, lags)

    def drop(self) -> None:
        """Nothing is held."""


def _rank(stored: bytes) -> tuple[bytes, bool]:
    """What must be equal for a tie: the version, and being a deletion or not."""
    return stored[VERSION_AT], is_tombstone(stored)
