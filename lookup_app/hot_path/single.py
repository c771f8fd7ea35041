"""One instrument by its key."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from time import perf_counter
from typing import Final

from instrument_cache.errors import IdentifierError, StoreUnavailable
from lookup_app.cache.hot_keys import HIT_SAMPLE, HotKeys
from lookup_app.cache.reader import HIT, CachedReader
from lookup_app.entries import Instrument
from lookup_app.headers import JSON, headers_of, last_modified
from lookup_app.hot_path.answering import REQUEST_ID, Answering, Caller, Environ, StartResponse
from lookup_app.hot_path.late import LateAnswer
from lookup_app.hot_path.shelf import Ready, Shelf
from lookup_app.problems import Problem
from lookup_app.service import LookupService

# The name of the view that gives the same answers.
_ROUTE: Final = "by_key"
# Paths below a dataset that are no keys.
_OTHERS: Final = frozenset(("", "status", "changes"))
# Headers of the body, which a 304 does not have.
_OF_THE_BODY: Final = frozenset(("Content-Type", "Content-Length", "Last-Modified"))


class SingleRoute:
    """`GET` and `HEAD /v1/{dataset}/{key}`. Without a `reader` there are no late answers."""

    def __init__(
        self,
        answering: Answering,
        service: LookupService,
        shelf: Shelf,
        hot_keys: HotKeys,
        reader: CachedReader | None = None,
    ) -> None:
        self._reader = reader
        self._answering, self._service, self._shelf, self._hot_keys = answering, service, shelf, hot_keys
        self._cache, self._metrics = answering.cache, answering.metrics
        self.dataset = service.dataset
        self._headers = headers_of(service.contract)
        self._is_time = service.contract.version_unit.is_time
        self._hits = 0

    def answer(self, environ: Environ, start_response: StartResponse, key: str) -> Iterable[bytes]:
        """Answer, or let Flask do it."""
        began_s = perf_counter()
        cache, answering = self._cache, self._answering
        # The clock first, then the entry: see NearCache.fresh_until_s.
        is_fresh = cache.monotonic() <= cache.fresh_until_s
        entry = self._shelf.get(key) if is_fresh else None
        method = environ["REQUEST_METHOD"]
        if (
            (method != "GET" and method != "HEAD")
            or environ.get("QUERY_STRING")
            or "HTTP_IF_MODIFIED_SINCE" in environ
            or answering.is_for_flask(environ)
        ):
            return answering.app(environ, start_response)
        caller = answering.admit(environ, self.dataset)
        if caller is None:
            return answering.app(environ, start_response)
        if entry is None or entry.answer is None:
            return self._answer_read(environ, start_response, key, caller, began_s)
        entry.used = True
        self._hits = hits = self._hits + 1
        if not hits % HIT_SAMPLE:
            self._hot_keys.hit(entry.key)
        self._metrics.reads(self.dataset, HIT, 1)
        return self._send(environ, start_response, entry.answer, entry.value, caller, began_s)

    def _send(
        self,
        environ: Environ,
        start_response: StartResponse,
        ready: Ready,
        body: bytes | None,
        caller: Caller,
        began_s: float,
    ) -> Iterable[bytes]:
        known = environ.get("HTTP_IF_NONE_MATCH")
        request_id = (REQUEST_ID, self._answering.request_id(environ))
        if known is None:
            start_response("200 OK", [*ready.headers, *caller, request_id])
            self._metrics.observe(self.dataset, _ROUTE, "ok", 200, perf_counter() - began_s)
            return [] if body is None or environ["REQUEST_METHOD"] == "HEAD" else [body]
        if known != ready.etag:  # it may be a list, or weak: Flask reads it
            return self._answering.app(environ, start_response)
        headers = [header for header in ready.headers if header[0] not in _OF_THE_BODY]
        start_response("304 NOT MODIFIED", [*headers, *caller, request_id])
        self._metrics.observe(self.dataset, _ROUTE, "not-modified", 304, perf_counter() - began_s)
        return []

    def _answer_read(
        self, environ: Environ, start_response: StartResponse, key: str, caller: Caller, began_s: float
    ) -> Iterable[bytes]:
        """What is not ready to send: read it."""
        if key in _OTHERS or not key.isascii():
            return self._answering.app(environ, start_response)
        return self._answer_found(environ, start_response, key, caller, began_s, partial(self._service.by_key, key))

    def quick(self, headers: Mapping[str, str], key: str) -> tuple[bytes, Caller, str, bytes] | None:
        """The answer to a GET with nothing but a known caller's usual headers, if it is ready to send.

        The instrument's headers as lines, the caller's, the request's id and the body; or None, and nothing is done.
        """
        began_s = perf_counter()
        cache = self._cache
        if cache.monotonic() > cache.fresh_until_s:
            return None
        entry = self._shelf.get(key)
        if entry is None or entry.answer is None or entry.value is None:
            return None
        caller = self._answering.admit_known(headers, self.dataset)
        if caller is None:
            return None
        entry.used = True
        self._hits = hits = self._hits + 1
        if not hits % HIT_SAMPLE:
            self._hot_keys.hit(entry.key)
        request_id = self._answering.request_id(headers)
        self._metrics.hit(self.dataset, _ROUTE, perf_counter() - began_s)
        return entry.answer.head, caller, request_id, entry.value

    def is_ready(self, key: str) -> bool:
        """Whether an answer is made from memory alone."""
        if self._cache.monotonic() > self._cache.fresh_until_s:
            return False
        entry = self._shelf.get(key)
        return (entry is not None and entry.answer is not None) or self._is_kept(key)

    def _is_kept(self, key: str) -> bool:
        """As after its first read: not made ready yet, for many are never read again."""
        try:
            return self._service.redis_key(key) in self._cache.entries
        except IdentifierError:
            return False

    def late(self, environ: Environ, start_response: StartResponse, key: str) -> LateAnswer | None:
        """Admit a known caller and begin the read. None: nothing was done, and `answer` has to do it."""
        began_s = perf_counter()
        if self._reader is None or key in _OTHERS or "HTTP_IF_NONE_MATCH" in environ or not self._reader.may_be_late:
            return None
        try:
            redis_key = self._service.redis_key(key)
        except IdentifierError:
            return None
        caller = self._answering.admit(environ, self.dataset)
        if caller is None:
            return None
        token = self._reader.begin_late(redis_key)
        found = partial(self._service.found, key)
        answer = partial(self._answer_found, environ, start_response, key, caller, began_s)
        return LateAnswer(redis_key, self._reader, token, found, answer)

    def _answer_found(
        self,
        environ: Environ,
        start_response: StartResponse,
        key: str,
        caller: Caller,
        began_s: float,
        found: Callable[[], Instrument],
    ) -> Iterable[bytes]:
        try:
            instrument = found()
        except IdentifierError:
            return self._answering.app(environ, start_response)
        except (Problem, StoreUnavailable) as error:
            return self._answering.refer(environ, start_response, error)
        if "HTTP_IF_NONE_MATCH" in environ:
            return self._answering.app(environ, start_response)
        length = ("Content-Length", str(len(instrument.body)))
        headers = (*self._headers(instrument), ("Content-Type", JSON), length)
        if self._stays_true(instrument):
            self._shelf.put_whole(key, instrument, headers)
        return self._send(environ, start_response, Ready("", headers), instrument.body, caller, began_s)

    def _stays_true(self, instrument: Instrument) -> bool:
        """Headers that tell an age, or leave out a time that is yet to come, are of this moment only."""
        return instrument.stale_s is None and not (self._is_time and last_modified(instrument.version) is None)
