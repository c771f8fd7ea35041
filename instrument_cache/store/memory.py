"""The in-memory twin of the Redis store, for tests that need no server."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from instrument_cache.change import VERSION_AT, is_tombstone
from instrument_cache.clock import Clock, SystemClock
from instrument_cache.store.interface import APPLIED, DUPLICATE, STALE, TIE_APPLIED, TIE_STALE


class MemoryStore:
    """Implements `VersionedStore` in a dictionary."""

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._held: dict[str, tuple[bytes, int]] = {}
        self._counters: Counter[str] = Counter()

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

    def get_many(self, keys: Sequence[str]) -> list[bytes | None]:
        return [self._get(key) for key in keys]

    def scan(self, prefix: str) -> Iterator[tuple[str, bytes]]:
        for key in [key for key in self._held if key.startswith(f"{prefix}:")]:
            value = self._get(key)
            if value is not None:
                yield key, value

    def count(self, counters: Mapping[str, int]) -> None:
        self._counters.update(counters)

    def counters(self) -> dict[str, int]:
        return dict(self._counters)


def _rank(stored: bytes) -> tuple[bytes, bool]:
    """What must be equal for a tie: the version, and being a deletion or not."""
    return stored[VERSION_AT], is_tombstone(stored)
