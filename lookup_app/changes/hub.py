"""Hands what was applied to the listeners. Lives in the event loop: nothing here waits, so nothing comes between."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable

import structlog

from instrument_cache.history import History
from lookup_app.changes.client import Client
from lookup_app.changes.cursor import Cursor
from lookup_app.changes.events import NO_HISTORY, Batch, Changes, Event, Kind
from lookup_app.changes.metrics import DatasetCounts
from lookup_app.changes.records import Tail

logger = structlog.get_logger()


class Hub:
    """The listeners of one dataset. `cursor` is how far the live ones are; None: nothing was read yet."""

    def __init__(self, counts: DatasetCounts, tail: Tail | None = None) -> None:
        self.tail = tail or Tail()
        self.cursor: Cursor | None = None
        self.history = NO_HISTORY
        self.clients: set[Client] = set()
        self.has_begun = asyncio.Event()
        self._counts = counts
        self._all: set[Client] = set()
        self._by_id: dict[str, set[Client]] = defaultdict(set)

    def begin(self, cursor: Cursor, history: History = NO_HISTORY) -> None:
        """The feed goes on from `cursor`, whatever was before. Live listeners of another topic are told so."""
        before, self.cursor, self.history = self.cursor, cursor, history
        self.tail.restart(cursor)
        self.has_begun.set()
        if before is not None and before.topic != cursor.topic:
            reset = Batch([reset_event(cursor, "the log was made anew")])
            for client in self._live():
                self._send(client, reset)

    def note(self, history: History) -> None:
        """Something was written past the log, or an epoch was opened: every client is told."""
        assert self.cursor is not None, "the feed begins first"
        before, self.history = self.cursor, history
        self.cursor = before.knowing(history.mark)
        live, at = self._live(), self.cursor.text()
        # Who is not live yet is told without an id: its own lies before this one.
        with_id, bare = (Batch([history_event(before, history, text)]) for text in (at, ""))
        for client in list(self.clients):
            self._send(client, with_id if client in live else bare)

    def end(self) -> bool:
        """The feed would stop reading, because nobody listens. False if that is no longer so."""
        if self.clients:
            return False
        self.cursor = None
        self.has_begun.clear()
        return True

    def publish(self, changes: Changes) -> None:
        """Give events to all who want them."""
        assert self.cursor is not None, "the feed begins first"
        self.tail.add(changes.records)
        self.cursor = changes.cursor
        self._counts.events(len(changes.events))
        for client in list(self._all):
            self._send(client, changes)
        if self._by_id:
            for client, events in self._wanted(changes.events).items():
                self._send(client, Batch(events))

    def _wanted(self, events: Iterable[Event]) -> dict[Client, list[Event]]:
        """By the index: what nobody asked for costs one look, however many listen."""
        found: dict[Client, list[Event]] = defaultdict(list)
        for event in events:
            for client in self._by_id.get(event.key, ()):
                found[client].append(event)
        return found

    def attach(self, client: Client) -> None:
        """From now on the client gets what is published. It must have been told all up to `cursor`."""
        if not client.is_open:
            return
        if not client.ids:
            self._all.add(client)
        for key in client.ids:
            self._by_id[key].add(client)

    def leave(self, client: Client) -> None:
        """The client is gone, or was cut off."""
        client.is_open = False
        self.clients.discard(client)
        self._all.discard(client)
        for key in client.ids:
            self._by_id[key].discard(client)
            if not self._by_id[key]:
                del self._by_id[key]

    def heartbeat(self) -> None:
        """A sign of life for every client. For live ones it moves the id, so that they never resume from long ago."""
        live = self._live()
        with_id = Batch([Event(Kind.HEARTBEAT, self.cursor.text() if self.cursor else "")])
        bare = Batch([Event(Kind.HEARTBEAT, "")])
        for client in list(self.clients):
            self._send(client, with_id if client in live else bare)

    def close(self) -> None:
        """End every client in good order."""
        for client in list(self.clients):
            client.close()
            self.leave(client)

    def _live(self) -> set[Client]:
        return self._all.union(*self._by_id.values())

    def _send(self, client: Client, batch: Batch) -> None:
        self._counts.sent(client.send(batch))
        if client.was_slow:
            self._counts.slow()
            logger.warning("slow_client_cut", listens_to=len(client.ids) or "all")
            self.leave(client)


def history_event(known: Cursor, history: History, text: str) -> Event:
    """Tells who knows the history of `known` what came since; `text` is the event's id."""
    kind = Kind.EPOCH if known.mark[0] != history.epoch.number else Kind.RESTORED
    return Event(kind, text, history=history.after(known.mark))


def reset_event(cursor: Cursor, reason: str) -> Event:
    """Tells a client that it may have missed something, and why."""
    return Event(Kind.RESET, cursor.text(), detail=reason)
