"""Leaves a source alone that failed several times in a row, and limits how many ask it at once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final, TypeVar

from instrument_cache.errors import SourceUnavailable

FAILURES_MAX: Final = 3
PAUSE_S: Final = 1.0
T = TypeVar("T")


class Breaker:
    """After FAILURES_MAX failures in a row it lets one call through per pause, until one succeeds.

    At most `calls_max` calls run at once; another is refused and does not wait, as it would hold a thread that hits
    need.
    """

    def __init__(self, calls_max: int, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._places, self._monotonic = threading.BoundedSemaphore(calls_max), monotonic
        self._lock = threading.Lock()
        self._failures, self._closed_until_s = 0, 0.0

    def call(self, do: Callable[[], T]) -> T:
        """Raises SourceUnavailable, of its own or of the call."""
        self._check_open()
        if not self._places.acquire(blocking=False):
            raise SourceUnavailable("as many calls of the source run as may at once")
        try:
            found = do()
        except SourceUnavailable:
            self._count_failure()
            raise
        finally:
            self._places.release()
        self._failures = 0
        return found

    def _check_open(self) -> None:
        with self._lock:
            if self._failures < FAILURES_MAX:
                return
            now_s = self._monotonic()
            if now_s < self._closed_until_s:
                raise SourceUnavailable("the source failed again and again; it is tried again shortly")
            self._closed_until_s = now_s + PAUSE_S

    def _count_failure(self) -> None:
        with self._lock:
            self._failures += 1
            self._closed_until_s = self._monotonic() + PAUSE_S
