"""`/healthz`, `/readyz` and `/metrics` of the gRPC process, over HTTP, for what does not speak gRPC."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from prometheus_client import CONTENT_TYPE_LATEST

from instrument_cache.projection import encode
from lookup_app.changes.connection import Connection
from lookup_app.changes.request import HEAD_BYTES_MAX, Request, read_request
from lookup_app.problems import MEDIA_TYPE, Problem, ProblemType

_JSON: Final = {"Content-Type": "application/json", "Cache-Control": "no-store"}
_CLOSE_S_MAX: Final = 2.0


class Operations:
    """`missing` is what the process lacks to answer calls, `metrics` all that it counts, as Prometheus reads it."""

    def __init__(self, missing: Callable[[], Sequence[str]], metrics: Callable[[], bytes]) -> None:
        self._missing, self._metrics = missing, metrics

    async def listen(self, host: str, port: int) -> asyncio.Server:
        """Answer on a port until the server is closed."""
        return await asyncio.start_server(self._connected, host, port, limit=HEAD_BYTES_MAX)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = Connection(reader, writer)
        try:
            if request := await read_request(reader):
                await self._answer(request, connection)
        except Problem as problem:
            connection.answer(problem.kind.status, {**problem.headers, "Content-Type": MEDIA_TYPE}, problem.body())
        finally:
            await connection.close(_CLOSE_S_MAX)

    async def _answer(self, request: Request, connection: Connection) -> None:
        if request.method != "GET":
            raise Problem(ProblemType.METHOD_NOT_ALLOWED, "Only GET is answered here.", headers={"Allow": "GET"})
        if request.path == "/healthz":
            connection.answer(200, _JSON, b'{"status":"alive"}')
        elif request.path == "/readyz":
            self._readyz(connection)
        elif request.path == "/metrics":
            body = await asyncio.to_thread(self._metrics)  # it asks the store whether it answers
            connection.answer(200, {"Content-Type": CONTENT_TYPE_LATEST}, body)
        else:
            raise Problem(ProblemType.NO_SUCH_ROUTE, "There are /healthz, /readyz and /metrics here.")

    def _readyz(self, connection: Connection) -> None:
        missing = list(self._missing())
        if missing:
            raise Problem(ProblemType.NOT_READY, f"Not there: {', '.join(missing)}.", {"missing": missing})
        connection.answer(200, _JSON, encode({"status": "ready"}))
