"""Many instruments by their keys."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from io import BytesIO
from time import perf_counter
from typing import Final

from instrument_cache.errors import StoreUnavailable
from lookup_app.batch import BatchRequest, batch_body, batch_of, stale_s_max
from lookup_app.cache.hot_keys import HIT_SAMPLE, HotKeys
from lookup_app.cache.near_cache import Entry
from lookup_app.cache.reader import HIT
from lookup_app.config import LookupSettings
from lookup_app.entries import Instrument
from lookup_app.headers import JSON
from lookup_app.hot_path.answering import REQUEST_ID, Answering, Caller, Environ, StartResponse
from lookup_app.hot_path.shelf import Shelf, joined
from lookup_app.problems import Problem
from lookup_app.protection.gate import batch_cost
from lookup_app.service import LookupService
from lookup_app.stale import stale_headers

# The name of the view that gives the same answers.
_ROUTE: Final = "batch"
# A larger one is for Flask.
_BODY_BYTES_MAX: Final = 64 * 1024
_ACCEPTED: Final = frozenset((None, "*/*", JSON))
_HEADERS: Final = (("Cache-Control", "no-store"), ("Vary", "Accept"))


class BatchRoute:
    """`POST /v1/{dataset}:batch` with JSON."""

    def __init__(
        self, answering: Answering, service: LookupService, shelf: Shelf, hot_keys: HotKeys, settings: LookupSettings
    ) -> None:
        self._answering, self._service, self._shelf, self._hot_keys = answering, service, shelf, hot_keys
        self._cache, self._metrics = answering.cache, answering.metrics
        self.dataset = service.dataset
        self._ids_max = settings.batch_ids_max
        self._body_bytes_max = min(settings.body_bytes_max, _BODY_BYTES_MAX)
        self._hits = 0

    def answer(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer, or let Flask do it."""
        began_s = perf_counter()
        # Who may not ask is refused before his body is waited for.
        if not self._is_usual(environ) or self._answering.admit(environ, self.dataset) is None:
            return self._answering.app(environ, start_response)
        asked = self._asked(environ)
        if asked is None or asked.by is not None or asked.fields is not None:
            return self._answering.app(environ, start_response)
        # The clock first, then the entries: see NearCache.fresh_until_s.
        is_fresh = self._cache.monotonic() <= self._cache.fresh_until_s
        body = self._ready(asked.ids) if is_fresh else None
        caller = self._answering.charge(environ, batch_cost(len(asked.ids)) - 1)
        if caller is None:
            return self._answering.app(environ, start_response)
        if body is None:
            return self._answer_read(environ, start_response, asked.ids, caller, began_s)
        self._metrics.reads(self.dataset, HIT, len(asked.ids))
        return self._send(environ, start_response, body, None, caller, began_s)

    def ready(self, environ: Environ, body: bytes) -> tuple[list[str], bytes] | None:
        """The ids in a request's body and the body of their answer, if that is made from memory alone."""
        if self._cache.monotonic() > self._cache.fresh_until_s or not self._is_usual(environ):
            return None
        try:
            asked = batch_of(body, self._ids_max)
        except Problem:
            return None
        ready = self._ready(asked.ids) if asked.by is None and asked.fields is None else None
        return None if ready is None else (asked.ids, ready)

    def answer_ready(
        self, environ: Environ, start_response: StartResponse, ids: list[str], body: bytes, began_s: float
    ) -> Iterable[bytes] | None:
        """Answer with what `ready` returned; None, and nothing is charged, if Flask has to say why not."""
        caller = self._answering.admit(environ, self.dataset, batch_cost(len(ids)))
        if caller is None:
            return None
        self._metrics.reads(self.dataset, HIT, len(ids))
        return self._send(environ, start_response, body, None, caller, began_s)

    def _is_usual(self, environ: Environ) -> bool:
        """True for a request whose body is small, and JSON as it is."""
        length = environ.get("CONTENT_LENGTH") or ""
        return (
            environ["REQUEST_METHOD"] == "POST"
            and environ.get("CONTENT_TYPE") == JSON
            and not environ.get("QUERY_STRING")
            and environ.get("HTTP_ACCEPT") in _ACCEPTED
            and "HTTP_CONTENT_ENCODING" not in environ
            and "HTTP_TRANSFER_ENCODING" not in environ
            and (length.isascii() and length.isdigit() and int(length) <= self._body_bytes_max)
            and not self._answering.is_for_flask(environ)
        )

    def _asked(self, environ: Environ) -> BatchRequest | None:
        """What the body asks for, if it can be used. It can be read once more."""
        try:
            body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
            environ["wsgi.input"] = BytesIO(body)
            return batch_of(body, self._ids_max)
        except Problem:
            return None

    def _ready(self, ids: Sequence[str]) -> bytes | None:
        """The body, if every id is ready to send."""
        get = self._shelf.get
        entries: list[Entry] = [get(text) for text in ids]  # type: ignore[misc]
        try:
            for entry in entries:
                entry.used = True
        except AttributeError:  # None: this id is not ready
            return None
        self._hits += len(ids)
        if self._hits >= HIT_SAMPLE:
            self._hits = 0
            self._hot_keys.hit(entries[-1].key)
        return joined(entries)

    def _answer_read(
        self, environ: Environ, start_response: StartResponse, ids: list[str], caller: Caller, began_s: float
    ) -> Iterable[bytes]:
        """Not all is ready to send: read it, as one of the few batches that may."""
        protection = self._answering.protection
        try:
            with protection.bulkhead if protection is not None else nullcontext():
                results = self._service.batch(ids)
        except (Problem, StoreUnavailable) as error:
            return self._answering.refer(environ, start_response, error)
        age_s = stale_s_max(results)
        if age_s is None:
            for text, result in zip(ids, results, strict=True):
                if isinstance(result, Instrument):
                    self._shelf.put(text, result)
        return self._send(environ, start_response, batch_body(ids, results), age_s, caller, began_s)

    def _send(
        self,
        environ: Environ,
        start_response: StartResponse,
        body: bytes,
        age_s: float | None,
        caller: Caller,
        began_s: float,
    ) -> Iterable[bytes]:
        request_id = (REQUEST_ID, self._answering.request_id(environ))
        of_the_body = (("Content-Type", JSON), ("Content-Length", str(len(body))), *caller, request_id)
        start_response("200 OK", [*_HEADERS, *stale_headers(age_s), *of_the_body])
        self._metrics.observe(self.dataset, _ROUTE, "ok", 200, perf_counter() - began_s)
        return [body]
