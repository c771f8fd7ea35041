"""One connection of HTTP: an answer that ends it, or a stream of events until somebody ends it."""

from __future__ import annotations

import asyncio
import random
import socket
from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

from lookup_app.changes.events import Batch

# The kernel keeps at most so much for a client that does not read; left alone it would take megabytes.
SEND_BUFFER_BYTES: Final = 128 * 1024
_RETRY_MS: Final = (1000, 3000)
_DISCARD_BYTES: Final = 4096


class Connection:
    """Writes the answer. Every answer closes its connection: there is no second request, so none can be smuggled in."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self._writer = reader, writer
        peer = writer.get_extra_info("peername")
        self.address = str(peer[0]) if peer else ""

    def answer(self, status: int, headers: Mapping[str, str], body: bytes = b"") -> None:
        """The whole answer."""
        self._writer.write(_head(status, {**headers, "Content-Length": str(len(body))}) + body)

    def begin_events(self, headers: Mapping[str, str]) -> EventSink:
        """Begin a stream of events, which has no length: it lasts until the connection ends."""
        fixed = {"Content-Type": "text/event-stream", "Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        # Those who are cut off together must not come back together.
        retry = b"retry: %d\n\n" % random.randint(*_RETRY_MS)
        transport = self._writer.transport
        _bound_send_buffer(transport)
        transport.write(_head(200, {**fixed, **headers}) + retry)
        return EventSink(transport)

    async def until_gone(self) -> None:
        """Wait until the client ends the connection, or it was ended here. What it still sends counts for nothing."""
        try:
            while await self.reader.read(_DISCARD_BYTES):
                pass
        except ConnectionError:
            return

    async def close(self, flush_s_max: float) -> None:
        """End the connection once all is out, or after `flush_s_max`."""
        self._writer.close()
        try:
            async with asyncio.timeout(flush_s_max):
                await self._writer.wait_closed()
        except (TimeoutError, ConnectionError):
            self._writer.transport.abort()


class EventSink:
    """Implements `Sink` on a transport, whose own buffer is the queue."""

    def __init__(self, transport: asyncio.WriteTransport) -> None:
        self._transport = transport

    def send(self, batch: Batch) -> None:
        if not self._transport.is_closing():
            self._transport.write(batch.sse)

    def waiting_bytes(self) -> int:
        return self._transport.get_write_buffer_size()

    def close(self) -> None:
        self._transport.close()

    def cut(self) -> None:
        self._transport.abort()


def _bound_send_buffer(transport: asyncio.WriteTransport) -> None:
    plain: socket.socket = transport.get_extra_info("socket")
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)


def _head(status: int, headers: Mapping[str, str]) -> bytes:
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
