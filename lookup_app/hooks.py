"""What happens around every request that Flask answers: its id, its count, its time, its trace, its line in the log."""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Collection
from typing import TYPE_CHECKING, Any, Final

from flask import Flask, Response, g, request

from lookup_app.drain import DRAIN
from lookup_app.metrics import LookupMetrics
from lookup_app.problems import Problem, ProblemType
from lookup_app.protection.gate import ADMISSION
from lookup_app.request_log import RequestLog
from lookup_app.sampling import Sampling, SamplingSettings

if TYPE_CHECKING:
    from lookup_app.tracing import Tracing

REQUEST_ID: Final = "X-Request-ID"
# A caller's id goes into a header and into the log as it is.
_USABLE_ID: Final = re.compile(r"[\x21-\x7e]{1,128}", re.ASCII).fullmatch
_TRACE_ID: Final = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}", re.ASCII).match
_PATH_CHARACTERS_MAX: Final = 200


def install(
    app: Flask,
    metrics: LookupMetrics,
    datasets: Collection[str] = (),
    sampling: Sampling | None = None,
    tracing: Tracing | None = None,
) -> None:
    """Put the hooks around every request of `app`, those that fail before their route is known included.

    `datasets` are those that are served: only their names become labels.
    """
    hooks = _Hooks(metrics, frozenset(datasets), sampling or Sampling(SamplingSettings()), tracing)
    app.before_request(hooks.start)
    app.after_request(hooks.finish)


def route_name() -> str:
    """The name of the route, never the path: label values must be few."""
    return request.endpoint or "unmatched"


class _Hooks:
    def __init__(
        self, metrics: LookupMetrics, datasets: frozenset[str], sampling: Sampling, tracing: Tracing | None
    ) -> None:
        self._metrics, self._datasets, self._sampling, self._tracing = metrics, datasets, sampling, tracing
        self._log = RequestLog()

    def start(self) -> None:
        g.started_s = time.perf_counter()
        given = request.headers.get(REQUEST_ID, "")
        g.request_id = given if _USABLE_ID(given) else uuid.uuid4().hex
        g.sample = self._sampling.of(request.environ)
        if g.sample is not None and g.sample.trace and self._tracing is not None:
            g.span = self._tracing.start(request.environ)
        if DRAIN.begun and request.endpoint == "readyz":
            raise Problem(ProblemType.NOT_READY, "This server is about to stop.", {"missing": ["server"]})

    def finish(self, response: Response) -> Response:
        latency_s = time.perf_counter() - g.started_s
        status, dataset, route, outcome = response.status_code, self._dataset(), route_name(), _outcome(response)
        response.headers[REQUEST_ID] = g.request_id
        if DRAIN.begun:
            response.headers["Connection"] = "close"
        self._metrics.observe(dataset, route, outcome, status, latency_s)
        if "span" in g and self._tracing is not None:
            facts: dict[str, str | int] = {
                "http.route": route,
                "http.response.status_code": status,
                "icache.dataset": dataset,
                "icache.outcome": outcome,
                "icache.client": _client(),
                "icache.request_id": g.request_id,
            }
            self._tracing.end(g.span, f"{request.method} {route}", facts, status >= 500)
        self._log.write(status, g.sample is not None and g.sample.log, lambda: _facts(dataset, outcome, latency_s))
        return response

    def _dataset(self) -> str:
        name = (request.view_args or {}).get("dataset", "")
        return name if name in self._datasets else ""


def _outcome(response: Response) -> str:
    outcome: str = g.get("outcome") or ("not-modified" if response.status_code == 304 else "ok")
    return outcome


def _client() -> str:
    admission = request.environ.get(ADMISSION)
    return "" if admission is None else str(admission.client)


def _trace_id() -> str:
    """That of the caller's trace, also if it is not sampled here, or of our own."""
    if "span" in g:
        return f"{g.span.get_span_context().trace_id:032x}"
    match = _TRACE_ID(request.headers.get("traceparent", ""))
    return match[1] if match else ""


def _facts(dataset: str, outcome: str, latency_s: float) -> dict[str, Any]:
    """Neither the query nor a header: those may hold what is nobody's business."""
    error = g.get("error")
    return {
        "request_id": g.request_id,
        "trace_id": _trace_id(),
        "client": _client(),
        "address": request.remote_addr or "",
        "method": request.method[:20],
        "path": request.path[:_PATH_CHARACTERS_MAX],
        "dataset": dataset,
        "route": route_name(),
        "outcome": outcome,
        "error": str(error or ""),
        "latency_ms": round(latency_s * 1000, 3),
        "exc_info": error if outcome == ProblemType.INTERNAL_ERROR.slug and error is not None else None,
    }
