"""Which requests the lane answers, and how: from memory, when Redis has answered, or by a thread that may wait."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from io import BytesIO
from time import perf_counter
from typing import Any, Final

import structlog

from instrument_cache.errors import StoreUnavailable
from lookup_app.epochs import HEADER as EPOCH
from lookup_app.fast_lane.answer import DATE, Answer
from lookup_app.fast_lane.connection import Connection
from lookup_app.fast_lane.late_reads import LateReads
from lookup_app.fast_lane.requests import Request, Requests
from lookup_app.hot_path.answering import Caller
from lookup_app.hot_path.batch import BatchRoute
from lookup_app.hot_path.late import LateAnswer
from lookup_app.hot_path.middleware import HotPath
from lookup_app.hot_path.shelf import lines as lines_of
from lookup_app.hot_path.single import SingleRoute

logger = structlog.get_logger(component="lookup")
_FIXED: Final[dict[str, Any]] = {
    "SCRIPT_NAME": "",
    "QUERY_STRING": "",
    "SERVER_PROTOCOL": "HTTP/1.1",
    "wsgi.version": (1, 0),
    "wsgi.url_scheme": "http",
    "wsgi.errors": sys.stderr,
    "wsgi.multithread": True,
    "wsgi.multiprocess": True,
    "wsgi.run_once": False,
    "wsgi.input_terminated": True,
}
_OK: Final = b"HTTP/1.1 200 OK\r\n"
_CALLERS_MAX: Final = 10_000
Application = Callable[..., Iterable[bytes]]


class Dispatch:
    """Of one event loop. `app` is the whole service, and `epochs` the datasets' epochs that are not their first."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        hot: HotPath,
        app: Application,
        epochs: dict[str, str],
        reads: LateReads,
        threads: int,
        address: tuple[str, int],
    ) -> None:
        self._loop, self._hot, self._app, self._epochs, self._reads = loop, hot, app, epochs, reads
        self._answering = hot.answering
        self._requests = Requests()
        self.whole = self._requests.whole
        self._callers: dict[Caller, bytes] = {}
        self._threads = ThreadPoolExecutor(threads, "fast-lane")
        self._fixed = {**_FIXED, "SERVER_NAME": address[0], "SERVER_PORT": str(address[1])}

    def quick(self, data: bytes) -> bytes | None:
        """The answer to a GET that the near cache answers at once, or None: take the usual way."""
        found = self._requests.plain(data)
        if found is None or self._epochs or not self._answering.is_quick:
            return None
        head, _, key = found[0].rpartition("/")
        single = self._hot.single(head)
        ready = None if single is None else single.quick(found[1], key)
        if ready is None:
            return None
        lines, caller, request_id, body = ready
        own = f"X-Request-ID: {request_id}\r\ndate: {DATE.now()}\r\n\r\n".encode()
        return b"".join((_OK, lines, self._lines(caller), own, body))

    def _lines(self, caller: Caller) -> bytes:
        """A caller's headers as they are sent. Most have the same ones as somebody before."""
        try:
            return self._callers[caller]
        except KeyError:
            if len(self._callers) >= _CALLERS_MAX:
                self._callers.clear()
            made = self._callers[caller] = lines_of(caller)
            return made

    def take(self, connection: Connection, request: Request) -> bool:
        """As `Lane.take`."""
        head, _, key = request.path.rpartition("/")
        single = self._hot.single(head)
        batch = self._hot.batch(request.path) if single is None else None
        if single is None and batch is None:
            return False
        environ = {
            **self._fixed,
            **connection.environ,
            **request.headers,
            "REQUEST_METHOD": request.method,
            "PATH_INFO": request.path,
        }
        if self._answering.is_for_flask(environ) or not self._answering.knows(environ):
            self._by_thread(connection, environ, request.body)
        elif single is not None and request.method != "POST":
            self._single(connection, environ, single, key)
        elif batch is None or not self._batch(connection, environ, batch, request.body):
            self._by_thread(connection, environ, request.body)
        return True

    def close(self) -> None:
        """Take up no more work."""
        self._threads.shutdown(wait=False)
        self._reads.close()

    def _single(self, connection: Connection, environ: dict[str, Any], route: SingleRoute, key: str) -> None:
        answer = self._answer(route.dataset)
        if route.is_ready(key):
            _finish(connection, answer, route.answer(environ, answer, key))
        elif self._reads.available and (late := route.late(environ, answer, key)):
            self._reads.get(late.redis_key, partial(self._found, connection, answer, late))
        else:
            self._by_thread(connection, environ, b"")

    def _found(
        self,
        connection: Connection,
        answer: Answer,
        late: LateAnswer,
        value: bytes | None,
        error: StoreUnavailable | None,
        slow: bool,
    ) -> None:
        try:
            parts = late.found(value, self._reads.peer) if error is None else late.failed(error, slow=slow)
            _finish(connection, answer, parts)
        except Exception:  # the other answers of the same read must not suffer
            logger.exception("fast_lane_failed")
            connection.cut()

    def _batch(self, connection: Connection, environ: dict[str, Any], route: BatchRoute, body: bytes) -> bool:
        began_s = perf_counter()
        ready = route.ready(environ, body)
        if ready is None:
            return False
        answer = self._answer(route.dataset)
        parts = route.answer_ready(environ, answer, *ready, began_s)
        if parts is not None:
            _finish(connection, answer, parts)
        return parts is not None

    def _answer(self, dataset: str) -> Answer:
        number = self._epochs.get(dataset) if self._epochs else None
        return Answer(() if number is None else ((EPOCH, number),))

    def _by_thread(self, connection: Connection, environ: dict[str, Any], body: bytes) -> None:
        environ["wsgi.input"] = BytesIO(body)
        self._threads.submit(self._whole, connection, environ)

    def _whole(self, connection: Connection, environ: dict[str, Any]) -> None:
        answer = Answer()
        try:
            data = _encoded(answer, self._app(environ, answer))
        except Exception:
            logger.exception("fast_lane_failed")
            self._loop.call_soon_threadsafe(connection.cut)
            return
        self._loop.call_soon_threadsafe(partial(connection.answer, data, closes=answer.closes))


def _finish(connection: Connection, answer: Answer, parts: Iterable[bytes]) -> None:
    connection.answer(_encoded(answer, parts), closes=answer.closes)


def _encoded(answer: Answer, parts: Iterable[bytes]) -> bytes:
    try:
        return answer.encoded(parts)
    finally:
        if not isinstance(parts, list):
            getattr(parts, "close", lambda: None)()
