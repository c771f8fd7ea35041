"""The order of all changes: resource versions, and a bounded memory of recent changes for watchers."""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from local_stack.pod_runner.status import Json

CHANGES_KEPT_MAX = 2048


class Change(NamedTuple):
    """One object before and after; None where it did not or does not exist."""

    version: int
    kind: str
    before: Json | None
    after: Json | None


class Expired(Exception):
    """The wanted version is older than the changes that are remembered."""


class ChangeLog:
    """Versions grow without end, across restarts too: they are microseconds of the clock, or the last one plus 1."""

    def __init__(self, now_us: Callable[[], int] = lambda: time.time_ns() // 1000) -> None:
        self._now_us = now_us
        self._recent: deque[Change] = deque(maxlen=CHANGES_KEPT_MAX)
        self._news = asyncio.Event()
        self.version = 0
        self._oldest_known = 0

    def start_at(self, version: int) -> None:
        """Begin after `version`, the newest that was stored; what came before it is not remembered."""
        self.version = self._oldest_known = max(version, self._now_us())

    def next_version(self) -> int:
        """Return a version larger than all before."""
        self.version = max(self.version + 1, self._now_us())
        return self.version

    def record(self, change: Change) -> None:
        """Remember a change and wake the watchers."""
        if len(self._recent) == CHANGES_KEPT_MAX:
            self._oldest_known = self._recent[0].version
        self._recent.append(change)
        self._news.set()
        self._news = asyncio.Event()

    def since(self, version: int) -> list[Change]:
        """Return the changes after `version`, oldest first."""
        if version < self._oldest_known:
            raise Expired
        return [change for change in self._recent if change.version > version]

    async def wait(self, timeout_s: float) -> None:
        """Return at the next change, or after `timeout_s`."""
        try:
            await asyncio.wait_for(self._news.wait(), timeout_s)
        except TimeoutError:
            return
