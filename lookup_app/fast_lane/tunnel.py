"""A connection that goes on to the server behind, byte by byte, for the rest of its life."""

from __future__ import annotations

import asyncio
import time
from typing import Any


class Tunnel(asyncio.Protocol):
    """The end at the server, a unix socket at `path`. `client` is the transport of the other end."""

    def __init__(self, client: Any) -> None:
        self._client, self._server = client, None  # type: Any, Any
        self._held: list[bytes] = []
        self._client_ended = False
        # Since when the client waits for a sign of the server; None: it does not.
        self._asked_s: float | None = None

    async def open(self, loop: asyncio.AbstractEventLoop, path: str) -> None:
        """Connect, and send what was held until now."""
        try:
            await loop.create_unix_connection(lambda: self, path)
        except OSError:
            self._client.abort()

    def unanswered_s(self, now_s: float) -> float:
        """For how long the client has waited."""
        return 0.0 if self._asked_s is None else now_s - self._asked_s

    def send(self, data: bytes) -> None:
        """What came from the client."""
        if self._asked_s is None:
            self._asked_s = time.monotonic()
        if self._server is None:
            self._held.append(data)
        else:
            self._server.write(data)

    def end(self) -> None:
        """The client sends no more, or is gone."""
        self._client_ended = True
        if self._server is not None:
            if self._client.is_closing():
                self._server.abort()
            elif self._server.can_write_eof():
                self._server.write_eof()

    def hold_back(self, held: bool) -> None:
        """The client does not take its answers as quickly as they come, or does again."""
        if self._server is not None and not self._server.is_closing():
            (self._server.pause_reading if held else self._server.resume_reading)()

    # What asyncio calls.

    def connection_made(self, transport: Any) -> None:
        self._server = transport
        transport.writelines(self._held)
        self._held.clear()
        if self._client_ended:
            self.end()

    def data_received(self, data: bytes) -> None:
        self._asked_s = None
        self._client.write(data)

    def pause_writing(self) -> None:
        if not self._client.is_closing():
            self._client.pause_reading()

    def resume_writing(self) -> None:
        if not self._client.is_closing():
            self._client.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        self._client.close()
