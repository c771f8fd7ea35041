"""The in-memory twin of a source, for tests that need no server. It can be shared by threads."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from threading import Condition
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from instrument_cache.clock import Clock, SystemClock
from instrument_cache.errors import SourceUnavailable
from instrument_cache.settings import Environment
from instrument_cache.source.interface import Delete, Heartbeat, Put, SnapshotBegin, SnapshotEnd, SourceEvent, check_row
from instrument_cache.source.row_identity import RowReader

QUEUE_BYTES_MAX: Final = 256 * 1024 * 1024


class _State(NamedTuple):
    version: int
    put: Put | None  # None marks a deletion


class _Inbox:
    """What one subscriber has still to read."""

    def __init__(self) -> None:
        self.events: deque[Put | Delete] = deque()
        self.bytes_held = 0
        self.cut = False


class MemorySource:
    """Implements `Source` in a dictionary, with the rules of the simulator."""

    def __init__(
        self,
        topic: str = "instruments",
        key_field: str = "cusip",
        version_field: str = "last_updated",
        *,
        clock: Clock | None = None,
        heartbeat_s: float = 1.0,
        queue_bytes_max: int = QUEUE_BYTES_MAX,
    ) -> None:
        self._topic = topic
        self._reader = RowReader(key_field, version_field)
        self._clock = clock or SystemClock()
        self._heartbeat_s = heartbeat_s
        self._queue_bytes_max = queue_bytes_max
        self._states: dict[str, _State] = {}
        self._inboxes: set[_Inbox] = set()
        self._position = self._timestamp_us = 0
        self._closed = False
        self._changed = Condition()  # guards all of the above

    def subscribe(self) -> Iterator[SourceEvent]:
        inbox = _Inbox()
        with self._changed:
            snapshot = self._snapshot()
            self._inboxes.add(inbox)
        try:
            yield from snapshot
            while True:
                yield self._next(inbox)
        finally:
            with self._changed:
                self._inboxes.discard(inbox)

    def snapshot(self) -> Iterator[SourceEvent]:
        with self._changed:
            snapshot = self._snapshot()
        yield from snapshot

    def rows(self, keys: Sequence[str]) -> list[Put | None]:
        with self._changed:
            self._check_open()
            return [self._states[key].put if key in self._states else None for key in keys]

    def publish(self, rows: Iterable[bytes]) -> int:
        return sum(self._publish(check_row(row)) for row in rows if row)

    def delete(self, keys: Iterable[str]) -> int:
        return sum(self._delete(key) for key in keys)

    def count(self) -> int:
        with self._changed:
            self._check_open()
            return len(self._puts())

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _snapshot(self) -> list[SourceEvent]:
        self._check_open()
        puts = self._puts()
        return [SnapshotBegin(self._topic, self._position, len(puts)), *puts, SnapshotEnd(len(puts))]

    def _puts(self) -> list[Put]:
        return [state.put for _, state in sorted(self._states.items()) if state.put is not None]

    def _publish(self, row: bytes) -> int:
        key, version = self._reader.read(row)
        with self._changed:
            put = Put(key, row, *self._tick())
            state = _State(put.timestamp_us if version is None else version, put)
            if _replaces(state, self._states.get(key)):
                self._states[key] = state
            self._send(put, len(row))
        return 1

    def _delete(self, key: str) -> int:
        with self._changed:
            self._check_open()
            held = self._states.get(key)
            if held is None or held.put is None:
                return 0
            self._states[key] = _State(held.version, None)
            self._send(Delete(key, held.version, *self._tick()), 0)
        return 1

    def _tick(self) -> tuple[int, int]:
        """The next message's timestamp and position, which grow even if the clock goes back."""
        self._check_open()
        self._timestamp_us = max(self._timestamp_us + 1, self._clock.now_us())
        self._position += 1
        return self._timestamp_us, self._position

    def _send(self, event: Put | Delete, size_bytes: int) -> None:
        for inbox in self._inboxes:
            inbox.bytes_held += size_bytes
            inbox.cut = inbox.cut or inbox.bytes_held > self._queue_bytes_max
            if not inbox.cut:
                inbox.events.append(event)
        self._changed.notify_all()

    def _next(self, inbox: _Inbox) -> SourceEvent:
        with self._changed:
            self._changed.wait_for(lambda: inbox.events or inbox.cut or self._closed, self._heartbeat_s)
            self._check_open()
            if inbox.cut:
                raise SourceUnavailable(f"the reader was cut off {inbox.bytes_held} bytes behind: subscribe again")
            if not inbox.events:
                return Heartbeat()
            event = inbox.events.popleft()
            inbox.bytes_held -= len(event.payload) if isinstance(event, Put) else 0
            return event

    def _check_open(self) -> None:
        if self._closed:
            raise SourceUnavailable(f"the source of {self._topic!r} was closed: open it again")


def _replaces(new: _State, held: _State | None) -> bool:
    """Larger versions win; at the same version the later wins, but it does not undo a deletion."""
    return held is None or new.version > held.version or (new.version == held.version and held.put is not None)


def open_source(url: str, env: Environment) -> MemorySource:
    """`memory://[topic]`: a new, empty source with the default fields."""
    return MemorySource(urlsplit(url).netloc or "instruments")
