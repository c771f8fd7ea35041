"""The events of one Watch call on their way out."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any

from lookup_app.changes.events import Batch
from lookup_app.rpc import lookup_pb2 as pb
from lookup_app.rpc.messages import event_message


class CallSink:
    """Implements `Sink` for a call. `cut_off` is done once too much waits: a write to who reads nothing never ends."""

    def __init__(self) -> None:
        self._queue: deque[pb.WatchEvent] = deque()
        self._waiting_bytes = 0
        self._changed = asyncio.Event()
        self._is_closed = False
        self.cut_off: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def send(self, batch: Batch) -> None:
        for event in batch.events:
            message = event_message(event)
            self._queue.append(message)
            self._waiting_bytes += message.ByteSize()
        self._changed.set()

    def waiting_bytes(self) -> int:
        return self._waiting_bytes

    def close(self) -> None:
        self._is_closed = True
        self._changed.set()

    def cut(self) -> None:
        self._queue.clear()
        if not self.cut_off.done():
            self.cut_off.set_result(None)

    async def write_to(self, context: Any) -> None:
        """Give the caller one message after the other, until the stream was closed and all is out."""
        while (message := await self._take()) is not None:
            await context.write(message)

    async def _take(self) -> pb.WatchEvent | None:
        """The next message; None once the stream was closed and all is out."""
        while not self._queue:
            if self._is_closed:
                return None
            self._changed.clear()
            await self._changed.wait()
        message = self._queue.popleft()
        self._waiting_bytes -= message.ByteSize()
        return message
