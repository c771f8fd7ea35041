"""One topic: its store, its live subscribers, and the streams that join the two without a gap.

All of it runs on the event loop's thread, also SQLite: a commit and the delivery of its messages are one step, so a
subscription that begins before the step gets them live and one that begins after it finds them in the snapshot.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from typing import Final

from local_stack.sow_simulator import frames
from local_stack.sow_simulator.store import Message, SowStore
from local_stack.sow_simulator.subscribers import Subscriber, Subscribers

HEARTBEAT_S: Final = 1.0
_PAGE_BYTES_MAX: Final = 512 * 1024


class Topic:
    """What the requests of the protocol do."""

    def __init__(self, store: SowStore, subscribers: Subscribers, heartbeat_s: float = HEARTBEAT_S) -> None:
        self.store = store
        self.subscribers = subscribers
        self._heartbeat_s = heartbeat_s

    def publish(self, rows: Sequence[bytes]) -> int:
        """Keep rows (at least one), deliver each, also one older than the state, and return the last one's position."""
        messages = self.store.publish(rows)
        self._deliver(messages)
        return messages[-1].position

    def delete(self, keys: Sequence[str]) -> tuple[int, list[str]]:
        """Remove rows; returns how many, and the keys that had none."""
        messages, unknown = self.store.delete(keys)
        self._deliver(messages)
        return len(messages), unknown

    def _deliver(self, messages: list[Message]) -> None:
        if messages and len(self.subscribers):
            self.subscribers.offer(frames.messages(messages))

    async def snapshot(self) -> AsyncGenerator[bytes]:
        """begin, the rows page by page (memory is bounded), end."""
        yield frames.begin(self.store.topic, self.store.position, self.store.count())
        rows = 0
        after = ""
        while page := self.store.page(after, _PAGE_BYTES_MAX):
            yield frames.messages(page)
            after = page[-1].key
            rows += len(page)
            await asyncio.sleep(0)  # a fast reader must not keep the others waiting
        yield frames.end(rows)

    async def rows(self, keys: Sequence[str]) -> AsyncGenerator[bytes]:
        """The rows of these keys that are held, each once, then end with their number."""
        rows = 0
        for page in self.store.pages_of(keys, _PAGE_BYTES_MAX):
            yield frames.messages(page)
            rows += len(page)
            await asyncio.sleep(0)
        yield frames.end(rows)

    async def live(self, subscriber: Subscriber) -> AsyncGenerator[bytes]:
        """The snapshot, then what `subscriber` gets from the moment the snapshot begins, with heartbeats between."""
        subscriber.forget()  # what came since it joined is in the snapshot, whose begin is taken in this same step
        async for piece in self.snapshot():
            if subscriber.closed:
                return
            yield piece
        while True:
            piece = await subscriber.next(self._heartbeat_s)
            if subscriber.closed:
                return
            yield piece or frames.HEARTBEAT
