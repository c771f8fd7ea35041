"""Keep requests from queueing behind a store that hangs."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

from instrument_cache.errors import StoreUnavailable
from lookup_app.service import Reader

PAUSE_S: Final = 0.25
T = TypeVar("T")


class FailFast:
    """A reader that, after a read that failed slowly, refuses reads at once and lets one through per pause.

    Each read that waits for a hung store holds one of few threads. Without this, the requests behind it would wait for
    their turn only to wait again, and "unavailable" would come late by the length of the queue. Failures that come
    quickly (a refused connection, a wrong password) need no such help and close nothing. Times in seconds.
    """

    def __init__(
        self, reader: Reader, slow_s: float, pause_s: float = PAUSE_S, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._reader, self._slow_s, self._pause_s, self._monotonic = reader, slow_s, pause_s, monotonic
        self._lock = threading.Lock()
        self._closed_until_s: float | None = None

    def get_many(self, keys: Sequence[str]) -> list[bytes | None]:
        return self._try(lambda: self._reader.get_many(keys))

    def counters(self) -> dict[str, int]:
        return self._try(self._reader.counters)

    def _try(self, read: Callable[[], T]) -> T:
        started_s = self._enter()
        try:
            found = read()
        except StoreUnavailable:
            self._close_if_slow(started_s)
            raise
        self._closed_until_s = None
        return found

    def _enter(self) -> float:
        """The time, or StoreUnavailable. Who comes first after a pause tries the store and starts the next pause."""
        now_s = self._monotonic()
        if self._closed_until_s is None:
            return now_s
        with self._lock:
            if self._closed_until_s is not None:
                if now_s < self._closed_until_s:
                    raise StoreUnavailable("Redis did not answer in time a moment ago; it is tried again shortly")
                self._closed_until_s = now_s + self._pause_s
        return now_s

    def _close_if_slow(self, started_s: float) -> None:
        now_s = self._monotonic()
        if now_s - started_s >= self._slow_s:
            with self._lock:
                self._closed_until_s = now_s + self._pause_s
