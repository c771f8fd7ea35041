"""The routes of the change stream's process."""

from __future__ import annotations

import asyncio
import re
import uuid
from collections.abc import Mapping
from typing import Any, Final

import structlog
from prometheus_client import CONTENT_TYPE_LATEST

from instrument_cache.projection import encode
from lookup_app.changes.client import Client
from lookup_app.changes.connection import Connection
from lookup_app.changes.metrics import ChangesMetrics
from lookup_app.changes.request import Request
from lookup_app.changes.settings import ChangesSettings
from lookup_app.changes.stream import ChangeStream, check_room, resume_from
from lookup_app.problems import MEDIA_TYPE, VALUE_CHARACTERS_MAX, Problem, ProblemType, problem_of
from lookup_app.protection.gate import Gate

logger = structlog.get_logger()
# EventSource, in a browser, can send no header: so here, and only here, a token may stand in the query.
_PARAMETERS: Final = ("ids", "access_token")
_CHANGES: Final = re.compile(r"/v1/([^/]+)/changes")
_JSON: Final = {"Content-Type": "application/json", "Cache-Control": "no-store"}
_METHODS: Final = "GET, OPTIONS"


class Routes:
    """Answers one request after the other, each on its own connection."""

    def __init__(
        self, streams: Mapping[str, ChangeStream], gate: Gate, settings: ChangesSettings, metrics: ChangesMetrics
    ) -> None:
        self._streams, self._gate, self._settings, self._metrics = streams, gate, settings, metrics
        self.is_draining = False

    async def answer(self, request: Request, connection: Connection) -> None:
        """Answer, and return when the answer is over. Nothing is raised but what ends the process."""
        try:
            await self._route(request, connection)
        except Exception as error:
            problem = problem_of(error)
            if problem.kind is ProblemType.INTERNAL_ERROR:
                logger.exception("request_failed", path=request.path[:VALUE_CHARACTERS_MAX])
            self.refuse(problem, connection, self._cors(request))

    def refuse(self, problem: Problem, connection: Connection, headers: Mapping[str, str] | None = None) -> None:
        """Answer with a problem."""
        body = problem.body()
        connection.answer(problem.kind.status, {**problem.headers, "Content-Type": MEDIA_TYPE, **(headers or {})}, body)

    async def _route(self, request: Request, connection: Connection) -> None:
        changes = _CHANGES.fullmatch(request.path)
        if request.method == "OPTIONS" and changes:
            allowed = {"Access-Control-Allow-Methods": _METHODS, "Access-Control-Max-Age": "600"}
            allowed["Access-Control-Allow-Headers"] = "Authorization, X-API-Key, Last-Event-ID, Cache-Control"
            connection.answer(204, {**allowed, **self._cors(request)})
        elif request.method != "GET":
            detail = f"The method {request.method!r} is not one of this route's; the header Allow lists them."
            raise Problem(ProblemType.METHOD_NOT_ALLOWED, detail, headers={"Allow": _METHODS})
        elif changes:
            await self._changes(request, changes[1], connection)
        else:
            self._operation(request, connection)

    def _operation(self, request: Request, connection: Connection) -> None:
        if request.path == "/healthz":
            connection.answer(200, _JSON, b'{"status":"alive"}')
        elif request.path == "/readyz":
            self._readyz(connection)
        elif request.path == "/metrics":
            connection.answer(200, {"Content-Type": CONTENT_TYPE_LATEST}, self._metrics.exposition())
        else:
            detail = "There are /v1/{dataset}/changes, /healthz, /readyz and /metrics here."
            raise Problem(ProblemType.NO_SUCH_ROUTE, detail)

    def _readyz(self, connection: Connection) -> None:
        missing = sorted({part for stream in self._streams.values() for part in stream.missing})
        missing += ["drain"] if self.is_draining else []
        if missing:
            raise Problem(ProblemType.NOT_READY, f"Not there: {', '.join(missing)}.", {"missing": missing})
        connection.answer(200, _JSON, encode({"status": "ready"}))

    async def _changes(self, request: Request, dataset: str, connection: Connection) -> None:
        given = request.parameters(_PARAMETERS)
        admitted = await self._admit(request, given.get("access_token"), connection.address, dataset)
        stream = self._stream(dataset)
        ids = stream.keys(_listed(given["ids"])) if "ids" in given else frozenset[str]()
        last = resume_from("Last-Event-ID", request.headers.get("last-event-id", ""))
        self._check_room()
        await stream.begun()
        self._check_room()
        sink = connection.begin_events({**admitted, **self._cors(request), "X-Request-ID": uuid.uuid4().hex})
        client = Client(ids, sink, self._settings.waiting_bytes_max)
        stream.join(client, last)
        try:
            await connection.until_gone()
        finally:
            stream.leave(client)

    async def _admit(self, request: Request, token: str | None, address: str, dataset: str) -> dict[str, str]:
        """In a thread: a key that is not known yet is looked up."""
        environ: dict[str, Any] = {"REMOTE_ADDR": address}
        for header, name in (("authorization", "HTTP_AUTHORIZATION"), ("x-api-key", "HTTP_X_API_KEY")):
            if header in request.headers:
                environ[name] = request.headers[header]
        if token is not None and "HTTP_AUTHORIZATION" not in environ:
            environ["HTTP_AUTHORIZATION"] = f"Bearer {token}"
        admission = await asyncio.to_thread(self._gate.admit, environ, dataset)
        return dict(admission.headers)

    def _stream(self, dataset: str) -> ChangeStream:
        if dataset in self._streams:
            return self._streams[dataset]
        names, shown = list(self._streams), dataset[:VALUE_CHARACTERS_MAX]
        detail = f"There is no dataset {shown!r}. Those served are: {', '.join(names)}."
        raise Problem(ProblemType.UNKNOWN_DATASET, detail, {"value": shown, "datasets": names})

    def _check_room(self) -> None:
        check_room(self._streams.values(), self._settings.clients_max, self.is_draining)

    def _cors(self, request: Request) -> dict[str, str]:
        """Only for the pages of the origins that are allowed. Never with cookies: there are none."""
        origin, allowed = request.headers.get("origin"), self._settings.origins
        if origin is None or not allowed:
            return {}
        if "*" in allowed:
            return {"Access-Control-Allow-Origin": "*"}
        return {"Vary": "Origin", **({"Access-Control-Allow-Origin": origin} if origin in allowed else {})}


def _listed(text: str) -> list[str]:
    return text.split(",") if text else []
