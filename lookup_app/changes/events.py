"""Events, and how they read as Server-Sent Events. Each is encoded once, whoever gets it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from functools import cached_property
from typing import Any, Final

from instrument_cache.history import History
from instrument_cache.projection import encode
from lookup_app.changes.cursor import Cursor
from lookup_app.changes.records import Record

NO_HISTORY: Final = History()
_RESET_ADVICE: Final = "Read again what you keep (POST /v1/{dataset}:batch); the events from here on have no gap."


class Kind(StrEnum):
    """What an event tells. HEARTBEAT is no event to a listener: at most it moves the id."""

    PUT = "put"
    DELETE = "delete"
    HELLO = "hello"
    RESET = "reset"
    EPOCH = "epoch"
    RESTORED = "restored"
    HEARTBEAT = "heartbeat"


class Event:
    """One event. `cursor` is its id as text; of a change, `stored` are the bytes that the REST API answers.

    `version` is None for a deletion so old that the cache has forgotten it. `detail` says why there is a reset, and
    `history` is what EPOCH and RESTORED tell of.
    """

    def __init__(
        self,
        kind: Kind,
        cursor: str,
        key: str = "",
        version: int | None = None,
        stored: bytes | None = None,
        detail: str = "",
        history: History = NO_HISTORY,
    ) -> None:
        self.kind, self.cursor, self.key = kind, cursor, key
        self.version, self.stored, self.detail = version, stored, detail
        self.history = history

    @cached_property
    def sse(self) -> bytes:
        """The event as Server-Sent Events has it. Without data it is not dispatched, but its id counts."""
        if self.kind is Kind.HEARTBEAT:
            return b": alive\n%b\n" % (b"id: %b\n" % self.cursor.encode() if self.cursor else b"")
        place = b"id: %b\n" % self.cursor.encode() if self.cursor else b""
        return b"%bevent: %b\ndata: %b\n\n" % (place, self.kind.encode(), self.data)

    @cached_property
    def data(self) -> bytes:
        """What it tells, as JSON."""
        if self.kind is Kind.HELLO:
            return encode({"id": self.cursor})
        if self.kind in (Kind.EPOCH, Kind.RESTORED):
            return encode({"id": self.cursor, **told(self.history), "advice": _RESET_ADVICE})
        if self.kind is Kind.RESET:
            return encode({"id": self.cursor, "reason": self.detail, "advice": _RESET_ADVICE})
        version = b"null" if self.version is None else b"%d" % self.version
        members = (encode(self.key), version, self.kind.encode(), self.stored or b"null")
        return b'{"id":%b,"version":%b,"op":"%b","instrument":%b}' % members


def told(history: History) -> dict[str, Any]:
    """What a listener is told of a history."""
    epoch, restored = history
    own = {name: getattr(epoch, name) for name in ("opened_at", "reason", "backup", "pinned")} if epoch.number else {}
    last = {name: getattr(restored, name) for name in ("at_ms", "backup", "scope", "keys")} if restored else None
    return {"epoch": {"number": epoch.number, **own}, "restored": last}


class Batch:
    """Events that go out together."""

    def __init__(self, events: Sequence[Event]) -> None:
        self.events = tuple(events)

    @cached_property
    def sse(self) -> bytes:
        """All of them, joined once for all who get all."""
        return b"".join([event.sse for event in self.events])


class Changes(Batch):
    """What became of `records`: at most one event for each key, in the order in which the keys were changed last.

    `due` has for each event the record that it stands for, and `cursor` lies behind all records.
    """

    def __init__(
        self, events: Sequence[Event], due: Sequence[Record], records: Sequence[Record], cursor: Cursor
    ) -> None:
        super().__init__(events)
        self.due, self.records, self.cursor = tuple(due), tuple(records), cursor

    def since(self, offsets: Mapping[int, int], ids: frozenset[str]) -> list[Event]:
        """The events that a listener at `offsets` lacks; `ids` empty: of every instrument."""
        return [
            event
            for event, record in zip(self.events, self.due, strict=True)
            if record.offset >= offsets[record.partition] and (not ids or event.key in ids)
        ]
