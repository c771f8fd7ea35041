"""Keep requests from queueing behind a store that hangs."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from instrument_cache.errors import StoreUnavailable
from lookup_app.redis_reader import Fetched

PAUSE_S: Final = 0.25
# After a single slow read: a machine that is busy for a moment is no Redis that hangs.
FIRST_PAUSE_S: Final = 0.01


class Fetcher(Protocol):
    """Reads full keys from Redis. Raises StoreUnavailable."""

    def fetch(self, keys: Sequence[str]) -> Fetched: ...


class FailFast:
    """A circuit breaker: after a read that failed slowly, it refuses reads at once and lets one through per pause.

    Each read that waits for a hung store holds one of few threads. Without this, the requests behind it would wait for
    their turn only to wait again, and "unavailable" would come late by the length of the queue. Failures that come
    quickly (a refused connection, a wrong password) need no such help and refuse nothing. Times in seconds.

    The first pause is short: only when the read after it fails as well, the store is left alone for `pause_s`.

    Who watches the store by other means says what it sees: `refuse`, or `allow`.
    """

    def __init__(
        self, store: Fetcher, slow_s: float, pause_s: float = PAUSE_S, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._store, self._slow_s, self._pause_s, self._monotonic = store, slow_s, pause_s, monotonic
        self._lock = threading.Lock()
        self._refused_until_s: float | None = None

    @property
    def refuses(self) -> bool:
        """True while the store is taken to be away; a read may still be let through to see whether it is back."""
        return self._refused_until_s is not None

    def refuse(self) -> None:
        """The store is known to be away: refuse reads from now on, but one per pause."""
        with self._lock:
            self._refused_until_s = self._monotonic() + self._pause_s

    def allow(self) -> None:
        """The store is there."""
        self._refused_until_s = None

    def fetch(self, keys: Sequence[str]) -> Fetched:
        """Raises StoreUnavailable: refused, or the store's own."""
        started_s = self._enter()
        try:
            fetched = self._store.fetch(keys)
        except StoreUnavailable:
            if self._monotonic() - started_s >= self._slow_s:
                self.suspect()
            raise
        if self._refused_until_s is not None:
            self._refused_until_s = None
        return fetched

    def suspect(self) -> None:
        """A read failed slowly, here or elsewhere. Who tries a refused store has begun a whole pause before."""
        with self._lock:
            if self._refused_until_s is None:
                self._refused_until_s = self._monotonic() + min(FIRST_PAUSE_S, self._pause_s)

    def _enter(self) -> float:
        """The time, or StoreUnavailable. Who comes first after a pause tries the store and starts the next pause."""
        now_s = self._monotonic()
        if self._refused_until_s is None:
            return now_s
        with self._lock:
            if self._refused_until_s is not None:
                if now_s < self._refused_until_s:
                    raise StoreUnavailable("Redis did not answer in time a moment ago; it is tried again shortly")
                self._refused_until_s = now_s + self._pause_s
        return now_s
