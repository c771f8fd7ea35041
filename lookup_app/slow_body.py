"""A time limit for the body of a request. The server has one for the header only, and a thread waits for the body.

The server's read cannot be broken off, not even from another thread. What ends it is the end of its connection, so that
a watch cuts connections on which a request stays unanswered for too long. Few enough bodies are awaited at a time that
slow ones leave a thread for requests without a body.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from typing import Any, Final, Protocol

import structlog

from lookup_app.connections_cut import Unanswered
from lookup_app.problems import Problem, ProblemType

BODY: Final = "wsgi.input"
LOOK_S: Final = 0.25
logger = structlog.get_logger()


class Stream(Protocol):
    """The part of `wsgi.input` that the service uses."""

    def read(self, size: int, /) -> bytes: ...


class Watch:
    """Knows since when each body is awaited, and cuts the connections of those that take longer than `timeout_s`."""

    def __init__(self, timeout_s: float, awaited_max: int) -> None:
        self.timeout_s, self._awaited_max = timeout_s, awaited_max
        self._since_s: dict[int, float] = {}
        self._lock = threading.Lock()
        self._port: int | None = None

    @property
    def awaited(self) -> int:
        """How many bodies are awaited now."""
        return len(self._since_s)

    def begin(self, port: int) -> None:
        """The current thread awaits a body at this port of the server. Raises Problem `busy` if too many do."""
        with self._lock:
            if len(self._since_s) >= self._awaited_max:
                raise Problem(ProblemType.BUSY, "Too many bodies are awaited. Try again in 1 s.")
            self._since_s[threading.get_ident()] = time.monotonic()
            if self._port is None:
                self._port = port
                threading.Thread(target=self._run, name="slow-bodies", daemon=True).start()

    def end(self) -> float:
        """The current thread has its body, or will not get it. Returns how long that took, in seconds."""
        with self._lock:
            return time.monotonic() - self._since_s.pop(threading.get_ident())

    def _run(self) -> None:
        unanswered = Unanswered(self._port or 0)
        while True:
            time.sleep(LOOK_S)
            with self._lock:
                oldest_s = min(self._since_s.values(), default=None)
            # Nobody is looked at unless a body is slow: most bodies come with their header.
            if oldest_s is None or time.monotonic() - oldest_s < LOOK_S:
                unanswered.forget()
            elif cut := unanswered.cut(self.timeout_s):
                logger.warning("slow_body_cut", connections=cut, timeout_s=self.timeout_s)


class TimedBody:
    """A request's body. Raises Problem `body-too-slow` if its connection was cut, or `busy` if too many are awaited."""

    def __init__(self, stream: Stream, watch: Watch, port: int) -> None:
        self._stream, self._watch, self._port = stream, watch, port

    def read(self, size: int = -1) -> bytes:
        self._watch.begin(self._port)
        try:
            data = bytes(self._stream.read(size))
        finally:
            took_s = self._watch.end()
        if took_s >= self._watch.timeout_s:
            detail = f"The body did not arrive within {self._watch.timeout_s:g} s."
            raise Problem(ProblemType.BODY_TOO_SLOW, detail)
        return data


class BodyLimit:
    """WSGI middleware that puts a `TimedBody` in place of the server's, for requests that have one."""

    def __init__(self, app: Callable[..., Iterable[bytes]], timeout_s: float, threads: int) -> None:
        self._app, self._watch = app, Watch(timeout_s, max(threads - 1, 1))

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] == "POST":
            environ[BODY] = TimedBody(environ[BODY], self._watch, int(environ["SERVER_PORT"]))
        return self._app(environ, start_response)
