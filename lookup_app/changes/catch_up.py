"""Brings listeners from where they are to where the live ones are, in groups: a past that many lack is read once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from typing import Any, Final, TypeVar

import structlog

from instrument_cache.errors import Unavailable
from instrument_cache.kafka import Span
from lookup_app.changes.client import Client
from lookup_app.changes.cursor import Cursor
from lookup_app.changes.events import Event, Kind
from lookup_app.changes.feed import RELEASE_RECORDS_MAX
from lookup_app.changes.group import Group, Past
from lookup_app.changes.hub import Hub, history_event, reset_event
from lookup_app.changes.log import KafkaLog
from lookup_app.changes.maker import EventMaker
from lookup_app.changes.metrics import DatasetCounts
from lookup_app.changes.records import Record

logger = structlog.get_logger()
# Each reads the past with a Kafka consumer of its own; who comes meanwhile waits, and is then one group.
GROUPS_MAX: Final = 4
# A client that takes nothing for so long is cut off, so that it does not hold up its group.
STUCK_S_MAX: Final = 10.0
_ROOM_POLL_S: Final = 0.02
_RETRY_S: Final = 0.5
T = TypeVar("T")


class CatchUp:
    """The listeners of one dataset that are not live yet. Lives in the event loop, waits in threads."""

    def __init__(self, hub: Hub, log: KafkaLog, maker: EventMaker, counts: DatasetCounts) -> None:
        self._hub, self._log, self._maker, self._counts = hub, log, maker, counts
        self._waiting: dict[Client, Cursor] = {}
        self._groups = 0
        self._tasks: set[asyncio.Task[None]] = set()

    def resume(self, client: Client, start: Cursor) -> None:
        """Tell `client` all from `start` on, or that this is not possible any more."""
        cursor = self._hub.cursor
        assert cursor is not None, "a client comes once the feed has begun"
        if start.topic != cursor.topic:
            self.begin(
                client, Kind.RESET, "the id is of another log: the topic was made anew, or it is another dataset's"
            )
        elif set(start.offsets) - set(cursor.offsets):
            self.begin(client, Kind.RESET, "the id names partitions that the log does not have")
        else:
            known = start.within(cursor.offsets)
            self._add(client, self._told_history(client, known, cursor))

    def _told_history(self, client: Client, known: Cursor, cursor: Cursor) -> Cursor:
        """Tell who was away when the cache was written past the log."""
        now = known.knowing(cursor.mark)
        if known.mark != cursor.mark:
            client.tell([history_event(known, self._hub.history, now.text())])
        return now

    def begin(self, client: Client, kind: Kind, reason: str = "") -> None:
        """Greet a client that begins now: HELLO or RESET, then the present state of the ids that it asked for."""
        cursor = self._hub.cursor
        assert cursor is not None, "a client comes once the feed has begun"
        if kind is Kind.RESET:
            self._counts.reset()
            client.tell([reset_event(cursor, reason)])
        else:
            client.tell([Event(kind, cursor.text())])
        if client.ids:
            self._spawn(self._tell_present(client, cursor))
        else:
            self._hub.attach(client)

    async def stop(self) -> None:
        """End all that is under way."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _tell_present(self, client: Client, cursor: Cursor) -> None:
        """What changes meanwhile is told behind it: the client goes on from before the state was read."""
        while client.is_open:
            with suppress(Unavailable):
                client.tell(await self._read(self._maker.present, sorted(client.ids), cursor))
                self._add(client, cursor)
                return
            await asyncio.sleep(_RETRY_S)

    async def _read(self, make: Callable[..., T], *arguments: Any) -> T:
        """Read the store between two releases of the feed: what it has read before and tells later would be older."""

        def in_turn() -> T:
            with self._maker.turn:
                return make(*arguments)

        return await asyncio.to_thread(in_turn)

    def _add(self, client: Client, start: Cursor) -> None:
        self._waiting[client] = start
        self._start_group()

    def _start_group(self) -> None:
        if self._waiting and self._groups < GROUPS_MAX:
            clients, self._waiting = self._waiting, {}
            self._groups += 1
            self._spawn(self._bring(Group(clients)))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _bring(self, group: Group) -> None:
        try:
            while not await self._step(group):
                pass
        except Exception:
            logger.exception("catch_up_failed", clients=len(group.starts))
            for client in list(group.starts):  # they resume from the id that they have
                client.close()
                self._hub.leave(client)
        finally:
            self._groups -= 1
            self._start_group()
            await _close(group.give_up_past())

    async def _step(self, group: Group) -> bool:
        """One step forward; True if all of the group are live."""
        cursor = self._hub.cursor
        if not group.fit(cursor) or cursor is None:
            return True
        if cursor.topic != group.at.topic:
            for client in group.starts:
                self.begin(client, Kind.RESET, "the log was made anew")
            return True
        try:
            records = self._hub.tail.since(group.at)
            if records is None:
                await self._read_past(group, cursor)
            elif records:
                await self._tell(group, records)
            else:
                for client in group.starts:
                    client.tell([Event(Kind.HEARTBEAT, cursor.text())])
                    self._hub.attach(client)
                return True
        except Unavailable as error:
            logger.warning("catch_up_waits", clients=len(group.starts), error=str(error))
            await _close(group.give_up_past())  # what was read and not told is read again
            await asyncio.sleep(_RETRY_S)
        return False

    async def _read_past(self, group: Group, cursor: Cursor) -> None:
        if group.past is None:
            self._reset_lost(group, await asyncio.to_thread(self._log.spans))
            group.begin_past(self._log.past(group.at, cursor), cursor)
            return
        records = await asyncio.to_thread(next, group.past, None)
        if records is None:
            group.finish_past()
        else:
            await self._tell(group, records)

    def _reset_lost(self, group: Group, spans: dict[int, Span]) -> None:
        """Who lacks what the log does not keep any more must read again."""
        for client in group.lost(spans):
            del group.starts[client]
            self.begin(client, Kind.RESET, "the id is older than the log, or the log lost records")

    async def _tell(self, group: Group, records: Sequence[Record]) -> None:
        for first in range(0, len(records), RELEASE_RECORDS_MAX):
            part = records[first : first + RELEASE_RECORDS_MAX]
            changes = await self._read(self._maker.changes, group.wanted(part), group.at)
            await self._room(group)
            for client, start in group.starts.items():
                self._counts.sent(client.tell(changes.since(start.offsets, client.ids)))
            group.advance(part)

    async def _room(self, group: Group) -> None:
        """Wait until every client takes more, and cut off who does not."""
        deadline_s = time.monotonic() + STUCK_S_MAX
        while stuck := [client for client in group.starts if client.is_open and not client.has_room]:
            if time.monotonic() > deadline_s:
                for client in stuck:
                    client.cut()
                    self._counts.slow()
                    self._hub.leave(client)
                return
            await asyncio.sleep(_ROOM_POLL_S)


async def _close(past: Past | None) -> None:
    """In a thread: a consumer takes its time to end."""
    if past is not None:
        with suppress(ValueError):  # a thread still reads for a task that was cancelled; the reading ends with it
            await asyncio.to_thread(past.close)
