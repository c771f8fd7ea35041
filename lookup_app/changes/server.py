"""The process: listens, answers, and ends in good order.

Not an ASGI server: none of them lets the application see what waits for a client, or end a connection that does not
drain. Here the transport's own buffer is the queue, and one write per client and batch is all that an event costs.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Mapping
from typing import Final

import structlog

from lookup_app.changes.connection import Connection
from lookup_app.changes.request import HEAD_BYTES_MAX, read_request
from lookup_app.changes.routes import Routes
from lookup_app.changes.stream import ChangeStream
from lookup_app.problems import Problem

logger = structlog.get_logger()
_BACKLOG: Final = 1024
_FLUSH_S_MAX: Final = 5.0


class ChangesServer:
    """Serves until it is told to stop."""

    def __init__(self, routes: Routes, streams: Mapping[str, ChangeStream], heartbeat_s: float, drain_s: float) -> None:
        self._routes, self._streams = routes, streams
        self._heartbeat_s, self._drain_s = heartbeat_s, drain_s
        self._open: set[asyncio.Task[None]] = set()

    async def serve(self, host: str, port: int) -> None:
        """Listen and answer until SIGTERM or SIGINT; then end every stream, so that its listener goes elsewhere."""
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        for stream in self._streams.values():
            stream.start()
        server = await asyncio.start_server(self._connected, host, port, limit=HEAD_BYTES_MAX, backlog=_BACKLOG)
        logger.info("changes_ready", host=host, port=port, datasets=list(self._streams))
        heart = asyncio.create_task(self._beat())
        await stop.wait()
        await self._drain(server)
        heart.cancel()

    async def _drain(self, server: asyncio.Server) -> None:
        """Say first that nobody should be sent here any more, then end the streams."""
        self._routes.is_draining = True
        logger.info("draining", seconds=self._drain_s)
        await asyncio.sleep(self._drain_s)
        server.close()
        await asyncio.gather(*(stream.stop() for stream in self._streams.values()))
        if self._open:
            await asyncio.wait(self._open, timeout=_FLUSH_S_MAX)

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(self._heartbeat_s)
            for stream in self._streams.values():
                stream.heartbeat()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        connection = Connection(reader, writer)
        try:
            await self._answer(connection)
        finally:
            await connection.close(_FLUSH_S_MAX)
            self._open.discard(task)

    async def _answer(self, connection: Connection) -> None:
        try:
            request = await read_request(connection.reader)
        except Problem as problem:
            self._routes.refuse(problem, connection)
            return
        if request is not None:
            await self._routes.answer(request, connection)
