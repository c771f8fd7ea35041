"""A reader that answers from the near cache what is known to be true, and from Redis the rest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from instrument_cache.change import is_tombstone, version_of
from instrument_cache.contract import Contract
from instrument_cache.errors import StoreUnavailable
from lookup_app.cache.near_cache import Entry, NearCache
from lookup_app.fail_fast import FailFast
from lookup_app.service import Found

HIT: Final = "hit"
MISS: Final = "miss"
STALE: Final = "stale"
ERROR: Final = "error"
_NOTHING_KEPT: Final = object()
# Of one dataset: count(outcome, number of keys).
Count = Callable[[str, int], None]


class CachedReader:
    """Implements `Reader` for one dataset. Safe to share between threads; the cache is shared with other datasets.

    `begin` is called when nothing is known to be fresh, so that the first read of a process starts what tracks Redis.
    """

    def __init__(
        self, store: FailFast, cache: NearCache, contract: Contract, stale_s_max: float, begin: Callable[[], None]
    ) -> None:
        self._store, self._cache, self._stale_s_max, self._begin = store, cache, stale_s_max, begin
        self._expires_at_ms = expiry(contract)
        self.count: Count = lambda outcome, keys: None
        self.missed: Callable[[Sequence[str]], None] = lambda keys: None

    def read(self, keys: Sequence[str]) -> Found:
        cache = self._cache
        if cache.monotonic() > cache.fresh_until_s:
            return self._read_incoherent(keys)
        if len(keys) == 1:
            entry = cache.entries.get(keys[0])
            if entry is None:
                return Found(self._fetch(keys))
            entry.used = True
            self.count(HIT, 1)
            return Found((entry.value,))
        return Found(self._read_many(keys))

    def load(self, keys: Sequence[str]) -> None:
        """Read keys for later. Raises StoreUnavailable."""
        self._fetch_uncounted(keys)

    @property
    def may_be_late(self) -> bool:
        """Whether a read may begin whose value comes later. If Redis is away or tells nothing, `read` knows better."""
        if self._store.refuses:
            return False
        if not self._cache.bytes_max:
            self._begin()
            return True
        return self._cache.monotonic() <= self._cache.fresh_until_s

    def begin_late(self, key: str) -> object:
        """Begin a read whose value comes later: the token for `end_late` or `fail_late`, one of which must follow."""
        return self._cache.begin((key,)) if self._cache.bytes_max else _NOTHING_KEPT

    def end_late(self, token: object, key: str, value: bytes | None, peer: object) -> None:
        """The value has come, from the Redis at `peer`."""
        if token is not _NOTHING_KEPT:
            self._cache.keep(token, (key,), (value,), peer, self._expires_at_ms)
        self.count(MISS, 1)
        self.missed((key,))

    def fail_late(self, token: object, key: str, *, slow: bool) -> None:
        """The value does not come; `slow`: it was waited for to the end."""
        if token is not _NOTHING_KEPT:
            self._cache.end(token, (key,))
        if slow:
            self._store.suspect()
        self.count(ERROR, 1)

    def _read_many(self, keys: Sequence[str]) -> list[bytes | None]:
        entries = [self._cache.entries.get(key) for key in keys]
        missing = [key for key, entry in zip(keys, entries, strict=True) if entry is None]
        if len(missing) < len(keys):
            self.count(HIT, len(keys) - len(missing))
        fetched = iter(self._fetch(missing) if missing else ())
        return [next(fetched) if entry is None else _used(entry) for entry in entries]

    def _read_incoherent(self, keys: Sequence[str]) -> Found:
        """Nothing is known to be fresh. While Redis is known to be away, who can have a stale answer does not wait."""
        self._begin()
        if self._store.refuses and (stale := self._stale(keys)):
            return stale
        try:
            return Found(self._fetch(keys))
        except StoreUnavailable:
            if stale := self._stale(keys):
                return stale
            raise

    def _stale(self, keys: Sequence[str]) -> Found | None:
        """What was true before Redis went away, if all of it is there and young enough."""
        age_s = self._cache.monotonic() - self._cache.coherent_as_of_s
        entries = [self._cache.entries.get(key) for key in keys]
        if age_s > self._stale_s_max or not all(entries):
            return None
        self.count(STALE, len(keys))
        return Found([entry.value for entry in entries if entry], age_s)

    def _fetch(self, keys: Sequence[str]) -> Sequence[bytes | None]:
        try:
            values = self._fetch_uncounted(keys)
        except StoreUnavailable:
            self.count(ERROR, len(keys))
            raise
        self.count(MISS, len(keys))
        self.missed(keys)
        return values

    def _fetch_uncounted(self, keys: Sequence[str]) -> Sequence[bytes | None]:
        if not self._cache.bytes_max:
            return self._store.fetch(keys).values
        token = self._cache.begin(keys)
        try:
            values, peer = self._store.fetch(keys)
        except BaseException:
            self._cache.end(token, keys)
            raise
        self._cache.keep(token, keys, values, peer, self._expires_at_ms)
        return values


def expiry(contract: Contract) -> Callable[[bytes], int]:
    """A function stored bytes → when Redis lets them expire, in milliseconds since 1970; 0: never.

    As `ChangeDecoder` sets it. Bytes that are not of the store never expire here.
    """
    ttl_ms = contract.ttl_s * 1000 if contract.ttl_s and contract.version_unit.is_time else 0
    tombstone_ttl_ms = contract.tombstone_ttl_s * 1000

    def expires_at_ms(stored: bytes) -> int:
        try:
            if is_tombstone(stored):
                return int(stored[stored.rindex(b":") + 1 : -1]) // 1000 + tombstone_ttl_ms
            return version_of(stored) // 1000 + ttl_ms if ttl_ms else 0
        except ValueError:
            return 0

    return expires_at_ms


def _used(entry: Entry) -> bytes | None:
    entry.used = True
    return entry.value
