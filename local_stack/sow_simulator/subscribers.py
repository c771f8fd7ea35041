"""Live subscribers: each has a queue of bounded size, and one that reads too slowly is cut off."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import structlog

log = structlog.get_logger()
_PIECE_BYTES_MAX: Final = 256 * 1024


class Subscriber:
    """The bytes that one reader has still to get."""

    def __init__(self, queue_bytes_max: int) -> None:
        self.cut = asyncio.Event()
        self.closed = False
        self._queue_bytes_max = queue_bytes_max
        self._queue: deque[bytes] = deque()
        self._held_bytes = 0
        self._woken = asyncio.Event()

    def offer(self, piece: bytes) -> None:
        """Queue a piece, or cut the reader off if it is too far behind: it finds everything in its next snapshot."""
        self._held_bytes += len(piece)
        if self.cut.is_set() or self._held_bytes > self._queue_bytes_max:
            self._cut_off()
            return
        self._queue.append(piece)
        self._woken.set()

    def forget(self) -> None:
        """Drop what is queued: the reader gets it in another way."""
        self._queue.clear()
        self._held_bytes = 0

    def close(self) -> None:
        """Let the reader end after what it is reading now."""
        self.closed = True
        self._woken.set()

    async def next(self, idle_s: float) -> bytes:
        """The next bytes; empty after `idle_s` without any, or when closed."""
        if not self._queue and not self.closed:
            self._woken.clear()
            try:
                await asyncio.wait_for(self._woken.wait(), idle_s)
            except TimeoutError:
                return b""
        taken: list[bytes] = []
        taken_bytes = 0
        while self._queue and taken_bytes < _PIECE_BYTES_MAX:
            taken.append(self._queue.popleft())
            taken_bytes += len(taken[-1])
        self._held_bytes -= taken_bytes
        return b"".join(taken)

    def _cut_off(self) -> None:
        if not self.cut.is_set():
            log.warning("subscriber_cut_off", behind_bytes=self._held_bytes, queue_bytes_max=self._queue_bytes_max)
        self.cut.set()
        self._queue.clear()


class Subscribers:
    """All readers of the topic."""

    def __init__(self, queue_bytes_max: int) -> None:
        self._queue_bytes_max = queue_bytes_max
        self._all: set[Subscriber] = set()
        self._closed = False

    def __len__(self) -> int:
        return len(self._all)

    @contextmanager
    def joined(self) -> Iterator[Subscriber]:
        """A subscriber that gets all that is offered from now on."""
        subscriber = Subscriber(self._queue_bytes_max)
        subscriber.closed = self._closed
        self._all.add(subscriber)
        try:
            yield subscriber
        finally:
            self._all.discard(subscriber)

    def offer(self, piece: bytes) -> None:
        """Queue a piece for everyone; the bytes are shared."""
        for subscriber in self._all:
            subscriber.offer(piece)

    def close(self) -> None:
        """Let all of them end, and those that still come."""
        self._closed = True
        for subscriber in self._all:
            subscriber.close()
