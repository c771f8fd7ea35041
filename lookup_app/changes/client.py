"""One listener: what it wants, where its events go, and how much may wait for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from lookup_app.changes.events import Batch, Event


class Sink(Protocol):
    """Where a listener's events go: a connection of HTTP, or a call of gRPC. Used by the event loop only."""

    def send(self, batch: Batch) -> None:
        """Queue events."""
        ...

    def waiting_bytes(self) -> int:
        """What is queued and was not taken."""
        ...

    def close(self) -> None:
        """No more events: what is queued still goes out."""
        ...

    def cut(self) -> None:
        """End at once, with what is queued."""
        ...


class Client:
    """A listener. `ids` are the instruments that it wants; empty: all of them."""

    def __init__(self, ids: frozenset[str], sink: Sink, waiting_bytes_max: int) -> None:
        self.ids, self._sink, self._bytes_max = ids, sink, waiting_bytes_max
        self.is_open = True
        self.was_slow = False

    def send(self, batch: Batch) -> int:
        """Queue events and return their number, or cut the client off if too much waits for it already.

        What was cut off lost nothing: it resumes from the last id that it received.
        """
        if not self.is_open or not batch.events:
            return 0
        if self._sink.waiting_bytes() > self._bytes_max:
            self.cut()
            return 0
        self._sink.send(batch)
        return len(batch.events)

    def tell(self, events: Sequence[Event]) -> int:
        return self.send(Batch(events))

    @property
    def has_room(self) -> bool:
        """True if it takes what it is sent: who reads the past for it waits for that."""
        return self._sink.waiting_bytes() <= self._bytes_max // 2

    def cut(self) -> None:
        """End a client that is too slow."""
        self.is_open, self.was_slow = False, True
        self._sink.cut()

    def close(self) -> None:
        """End it in good order."""
        self.is_open = False
        self._sink.close()
