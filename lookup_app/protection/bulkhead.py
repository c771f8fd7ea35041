"""A bound on what batches take, so that there is always a thread left for single reads."""

from __future__ import annotations

import threading
import time
from types import TracebackType
from typing import Final, Self

from lookup_app.problems import Problem, ProblemType
from lookup_app.protection.settings import BulkheadSettings

# Who waits for a place holds a thread as well, so that not many may wait.
WAITING_MAX: Final = 1


class Bulkhead:
    """`with bulkhead:` around a batch. Raises Problem `busy` if there is no place in time."""

    def __init__(self, settings: BulkheadSettings) -> None:
        self._places_max, self._wait_s = settings.batches_max, settings.wait_s
        self._running = self._waiting = 0
        self._changed = threading.Condition(threading.Lock())

    def __enter__(self) -> Self:
        with self._changed:
            if self._running >= self._places_max:
                self._wait()
            self._running += 1
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.leave()

    def enter(self) -> None:
        """As `with`, for those who end elsewhere. Each `enter` that returned needs one `leave`."""
        self.__enter__()

    def leave(self) -> None:
        with self._changed:
            self._running -= 1
            if self._waiting:
                self._changed.notify()

    def _wait(self) -> None:
        if self._waiting >= WAITING_MAX:
            raise self._busy()
        deadline_s = time.monotonic() + self._wait_s
        self._waiting += 1
        try:
            while self._running >= self._places_max:
                remaining_s = deadline_s - time.monotonic()
                if remaining_s <= 0 or not self._changed.wait(remaining_s):
                    raise self._busy()
        finally:
            self._waiting -= 1

    def _busy(self) -> Problem:
        detail = (
            f"{self._places_max} batches are being answered already, and single reads come first. Try again in 1 s."
        )
        return Problem(ProblemType.BUSY, detail, {"limit": self._places_max})
