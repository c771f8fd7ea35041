"""Reads the log while anybody listens, and lets a record through once the cache has applied it."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Mapping
from typing import Final, Protocol

import structlog

from instrument_cache.errors import StoreUnavailable, Unavailable
from instrument_cache.history import History, ReadsHistory
from instrument_cache.kafka import Span
from instrument_cache.store.interface import Position
from lookup_app.changes.cursor import Cursor
from lookup_app.changes.events import Changes
from lookup_app.changes.log import KafkaLog, Topic, TopicWatch
from lookup_app.changes.maker import AppliedStore, EventMaker
from lookup_app.changes.records import Record

logger = structlog.get_logger()

_TICK_S: Final = 0.02
# A roll back waits longer than this between the epoch and the first version that goes back.
HISTORY_S: Final = 0.5
_IDLE_S: Final = 1.0
_PAUSE_S: Final = 0.25
# Beyond these nothing more is read: Redis is away, or the job stands.
HELD_RECORDS_MAX: Final = 200_000
# So many go out together: small enough for a client's queue, large enough to share the work.
RELEASE_RECORDS_MAX: Final = 250


class Audience(Protocol):
    """Who is told. Called by the feed's thread; each call returns when it has been done."""

    def begin(self, cursor: Cursor, history: History) -> None: ...

    def publish(self, changes: Changes) -> None: ...

    def note(self, history: History) -> None: ...

    def end(self) -> bool:
        """The feed would rest. False if somebody has come meanwhile."""
        ...


class Held:
    """Records that were read and may not be applied yet, per partition in order."""

    def __init__(self) -> None:
        self._records: dict[int, deque[Record]] = {}
        self._next: dict[int, int] = {}

    def restart(self, offsets: Mapping[int, int]) -> None:
        self._records = {at: deque() for at in offsets}
        self._next = dict(offsets)

    def __len__(self) -> int:
        return sum(map(len, self._records.values()))

    @property
    def partitions(self) -> list[int]:
        return list(self._records)

    def add(self, records: list[Record]) -> None:
        for record in records:
            # A consumer that loses its place begins again at the log's start: what was read once is not read again.
            if record.offset >= self._next[record.partition]:
                self._records[record.partition].append(record)
                self._next[record.partition] = record.offset + 1

    def applied(self, positions: Mapping[int, Position], limit: int) -> list[Record]:
        """The first records that lie before the applied positions. They stay until `drop`."""
        found: list[Record] = []
        for at, records in self._records.items():
            end = positions[at].next
            for record in records:
                if record.offset >= end or len(found) == limit:
                    break
                found.append(record)
        return found

    def drop(self, records: list[Record]) -> None:
        for record in records:
            self._records[record.partition].popleft()


class Feed:
    """One thread for one dataset. `want(True)` wakes it, and after `want(False)` it rests."""

    def __init__(
        self,
        log: KafkaLog,
        watch: TopicWatch,
        store: AppliedStore,
        maker: EventMaker,
        audience: Audience,
        read_history: ReadsHistory,
    ) -> None:
        self._log, self._watch, self._store = log, watch, store
        self._read_history = read_history
        self._look_at_s = 0.0
        self._maker, self._audience = maker, audience
        self._wanted = threading.Event()
        self._ended = threading.Event()
        self._topic: Topic | None = None
        self._cursor: Cursor | None = None
        self._thread = threading.Thread(target=self._run, name="feed", daemon=True)
        self.held = Held()
        self.store_is_up = False

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End the thread; nothing is published after this."""
        self._ended.set()
        self._wanted.set()
        self._thread.join()

    def want(self, wanted: bool) -> None:
        """Whether anybody listens."""
        self._wanted.set() if wanted else self._wanted.clear()

    def _run(self) -> None:
        while not self._ended.is_set():
            try:
                self._step()
            except Unavailable as error:
                self._note(error)
                self._ended.wait(_PAUSE_S)
            except Exception:
                logger.exception("feed_failed")
                self._topic = None  # whatever it was, begin again where the listeners are
                self._ended.wait(_PAUSE_S)
        self._log.close()

    def _step(self) -> None:
        if not self._wanted.is_set():
            self._rest()
        elif self._topic is None or self._topic != self._watch.topic:
            self._begin()
        else:
            self._listen()

    def _rest(self) -> None:
        """Nobody listens: ask only whether Redis answers."""
        if self._topic is not None:
            if not self._audience.end():
                return
            self._topic = self._cursor = None
            self._log.close()
        self._ask_store([0])
        self._wanted.wait(_IDLE_S)

    def _begin(self) -> None:
        """Go on where the listeners are or, if there was no one, from what is applied now."""
        topic = self._watch.topic
        if topic is None:
            self._ended.wait(_TICK_S)
            return
        spans = self._log.spans()
        if set(spans) != set(topic.partitions):
            self._ended.wait(_PAUSE_S)
            return
        history = self._read_history()
        if self._cursor is not None and self._cursor.topic == topic.id:
            cursor = self._cursor.within(topic.partitions)
        else:
            cursor = Cursor(topic.id, _applied_now(spans, self._ask_store(sorted(spans))), history.mark)
        self._log.open(cursor.offsets)
        self.held.restart(cursor.offsets)
        self._topic, self._cursor = topic, cursor
        self._audience.begin(cursor, history)
        self._note_history(history)

    def _look_at_history(self) -> None:
        if time.monotonic() >= self._look_at_s:
            self._note_history(self._read_history())
            self._look_at_s = time.monotonic() + HISTORY_S

    def _note_history(self, history: History) -> None:
        assert self._cursor is not None, "it has begun"
        if history.mark != self._cursor.mark:
            self._audience.note(history)
            self._cursor = self._cursor.knowing(history.mark)

    def _listen(self) -> None:
        self._look_at_history()
        if len(self.held) < HELD_RECORDS_MAX:
            self.held.add(self._log.poll(_TICK_S))
        else:
            self._ended.wait(_TICK_S)
        if not len(self.held):
            return
        positions = self._ask_store(self.held.partitions)
        while records := self.held.applied(positions, RELEASE_RECORDS_MAX):
            assert self._cursor is not None, "it has begun"
            with self._maker.turn:
                changes = self._maker.changes(records, self._cursor)
                self._audience.publish(changes)
            self._cursor = changes.cursor
            self.held.drop(records)

    def _ask_store(self, partitions: list[int]) -> dict[int, Position]:
        positions = self._store.positions(partitions)
        self.store_is_up = True
        return positions

    def _note(self, error: Unavailable) -> None:
        if isinstance(error, StoreUnavailable):
            if self.store_is_up:
                logger.warning("store_away", error=str(error))
            self.store_is_up = False


def _applied_now(spans: Mapping[int, Span], positions: Mapping[int, Position]) -> dict[int, int]:
    """Per partition the offset behind what is applied; the log's own ends count where the account is none of its."""
    return {at: min(max(positions[at].next, span.start), span.end) for at, span in spans.items()}
