"""What is kept of Redis, in a bounded number of bytes. Who reads it must ask first whether it is still true.

Readers take no lock: a hit is a look into a dictionary. Whoever changes the dictionary holds the lock.
"""

from __future__ import annotations

import heapq
import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import msgspec

# Measured (tests/unit/lookup_app/cache/test_memory.py): an entry, its key and its place in the dictionary, without the
# characters of the key and the bytes of the value.
ENTRY_BYTES: Final = 380
# So many entries that were used get a second chance before one is dropped all the same, so that keeping stays quick.
_CHANCES_MAX: Final = 32
_HEAP_SLACK: Final = 1000


class Entry(msgspec.Struct, gc=False):
    """One key with its stored bytes, or None: Redis has none.

    `answer` and `lead` are what was made ready to send it, alone and in a batch; `shelf` is the dictionary in which it
    stands, under `name`, once it is ready. Not seen by the garbage collector, whose passes would
    else grow with the cache: an entry refers to its shelf, and leaves it when it leaves the cache.
    """

    key: str
    value: bytes | None
    bytes_used: int
    expires_at_ms: int
    used: bool = False
    answer: Any = None
    lead: bytes = b""
    shelf: dict[str, Entry] | None = None
    name: str = ""


class NearCache:
    """Entries by full key. Coherent as of `coherent_as_of_s`, as long as its tracker says so (seconds, monotonic)."""

    def __init__(self, bytes_max: int, freshness_s: float, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.bytes_max, self.freshness_s, self.monotonic = bytes_max, freshness_s, monotonic
        self.bytes_used = 0
        self.evicted = 0
        # The entries may be served as fresh while the clock has not passed this. Whoever reads looks at the clock
        # first, then here, then for the entry: in another order a pause in between could make an old entry pass.
        self.fresh_until_s = -math.inf
        self.coherent_as_of_s = -math.inf
        self.entries: OrderedDict[str, Entry] = OrderedDict()
        self.peer: object = None
        self._tracked = False
        self._reads: dict[str, object] = {}
        self._expiries: list[tuple[int, str]] = []
        self._shelves: list[dict[str, Entry]] = []
        self._lock = threading.Lock()

    def begin(self, keys: Iterable[str]) -> object:
        """Say that these keys are about to be read. Returns the token with which `keep` takes what was found."""
        token = object()
        self._reads.update(dict.fromkeys(keys, token))
        return token

    def keep(
        self,
        token: object,
        keys: Sequence[str],
        values: Sequence[bytes | None],
        peer: object,
        expires_at_ms: Callable[[bytes], int],
    ) -> None:
        """Keep what was read since `begin`, but for keys that changed meanwhile, and if `peer` is who is tracked."""
        with self._lock:
            may_keep = self._tracked and peer == self.peer and self.bytes_max > 0
            for key, value in zip(keys, values, strict=True):
                if self._reads.get(key) is token:
                    del self._reads[key]
                    if may_keep:
                        self._put(key, value, expires_at_ms(value) if value else 0)
                        continue
                self._drop_other(key, value)
            self._evict()

    def end(self, token: object, keys: Iterable[str]) -> None:
        """Say that a read failed."""
        with self._lock:
            for key in keys:
                if self._reads.get(key) is token:
                    del self._reads[key]

    def shelf(self) -> dict[str, Entry]:
        """A new dictionary for entries under names of the caller's own; what leaves the cache leaves it too."""
        shelf: dict[str, Entry] = {}
        self._shelves.append(shelf)
        return shelf

    def shelve(self, entry: Entry, shelf: dict[str, Entry], name: str, lead: bytes, bytes_more: int) -> None:
        """Put an entry on a shelf, with what stands before it in a batch."""
        with self._lock:
            if self.entries.get(entry.key) is entry and entry.shelf is None:
                entry.lead, entry.shelf, entry.name = lead, shelf, name
                shelf[name] = entry
                self._grow(entry, bytes_more)

    def prepare(self, entry: Entry, answer: object, bytes_more: int) -> None:
        """Add to an entry what is sent with it."""
        with self._lock:
            if self.entries.get(entry.key) is entry and entry.answer is None:
                entry.answer = answer
                self._grow(entry, bytes_more)

    def invalidate(self, keys: Iterable[str]) -> None:
        """Forget these keys, and whatever is being read of them now."""
        entries, reads = self.entries, self._reads
        with self._lock:
            for key in keys:
                if key in entries:
                    self._discard(entries[key])
                if key in reads:
                    del reads[key]

    def expire(self, now_ms: int) -> None:
        """Forget what Redis has let expire by its own time, for which it sends no message until it cleans up."""
        with self._lock:
            while self._expiries and self._expiries[0][0] <= now_ms:
                at_ms, key = heapq.heappop(self._expiries)
                entry = self.entries.get(key)
                if entry is not None and entry.expires_at_ms == at_ms:
                    self._discard(entry)

    def restart(self, peer: object) -> None:
        """A new tracking of `peer` has begun: forget all, then keep what is read from there."""
        with self._lock:
            self._forget_all()
            self.peer, self._tracked = peer, True

    def flush(self) -> None:
        """Forget all; what is being read now is not kept either."""
        with self._lock:
            self._forget_all()

    def advance(self, as_of_s: float) -> None:
        """Every change that Redis made before `as_of_s` was told."""
        self.coherent_as_of_s = as_of_s
        self.fresh_until_s = as_of_s + self.freshness_s

    def lose(self) -> None:
        """Changes are told no more. What is there may be served as stale only, and nothing is kept."""
        with self._lock:
            self._tracked = False
            self.fresh_until_s = -math.inf
            self._reads.clear()

    def _grow(self, entry: Entry, bytes_more: int) -> None:
        entry.bytes_used += bytes_more
        self.bytes_used += bytes_more
        self._evict()

    def _put(self, key: str, value: bytes | None, expires_at_ms: int) -> None:
        old = self.entries.get(key)
        if old is not None:
            self._discard(old)
        size = ENTRY_BYTES + len(key) + (len(value) if value else 0)
        self.entries[key] = Entry(key, value, size, expires_at_ms)
        self.bytes_used += size
        if expires_at_ms:
            self._schedule(expires_at_ms, key)

    def _schedule(self, expires_at_ms: int, key: str) -> None:
        if len(self._expiries) > 2 * len(self.entries) + _HEAP_SLACK:
            self._expiries = [(e.expires_at_ms, e.key) for e in self.entries.values() if e.expires_at_ms]
            heapq.heapify(self._expiries)
        heapq.heappush(self._expiries, (expires_at_ms, key))

    def _drop_other(self, key: str, value: bytes | None) -> None:
        """What was read and is not kept is newer than what is there: nobody may see the older again, not even stale."""
        entry = self.entries.get(key)
        if entry is not None and entry.value != value:
            self._discard(entry)

    def _evict(self) -> None:
        """Drop the oldest entries that were not used of late, until the rest fits."""
        chances = _CHANCES_MAX
        while self.bytes_used > self.bytes_max and self.entries:
            entry = next(iter(self.entries.values()))
            if entry.used and chances:
                chances -= 1
                entry.used = False
                self.entries.move_to_end(entry.key)
            else:
                self._discard(entry)
                self.evicted += 1

    def _discard(self, entry: Entry) -> None:
        del self.entries[entry.key]
        self.bytes_used -= entry.bytes_used
        if entry.shelf is not None:
            entry.shelf.pop(entry.name, None)
            entry.shelf = None

    def _forget_all(self) -> None:
        self.fresh_until_s = -math.inf
        for shelf in self._shelves:
            shelf.clear()
        self.entries.clear()
        self._expiries.clear()
        self._reads.clear()
        self.bytes_used = 0
