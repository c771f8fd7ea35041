"""Many who ask for one thing at once make one call, and share what it brings."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from instrument_cache.errors import SourceUnavailable

T = TypeVar("T")


class _Flight(Generic[T]):
    def __init__(self) -> None:
        self.done = threading.Event()
        self.result: T
        self.error: Exception | None = None


class SingleFlight(Generic[T]):
    """`wait_s`: how long a follower waits for the one who calls."""

    def __init__(self, wait_s: float) -> None:
        self._wait_s, self._lock = wait_s, threading.Lock()
        self._flights: dict[str, _Flight[T]] = {}

    def run(self, name: str, call: Callable[[], T]) -> T:
        """The result of `call`, or of the same that is under way. What it raises is raised to all who share it."""
        with self._lock:
            flight = self._flights.get(name)
            if flight is not None:
                leads = False
            else:
                flight = self._flights[name] = _Flight()
                leads = True
        if leads:
            self._lead(name, flight, call)
        elif not flight.done.wait(self._wait_s):
            raise SourceUnavailable(f"the call for {name} that is under way takes more than {self._wait_s} s")
        if flight.error is not None:
            raise flight.error
        return flight.result

    def _lead(self, name: str, flight: _Flight[T], call: Callable[[], T]) -> None:
        try:
            flight.result = call()
        except Exception as error:
            flight.error = error
        finally:
            with self._lock:
                del self._flights[name]
            flight.done.set()
