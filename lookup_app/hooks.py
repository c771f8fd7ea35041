"""What happens around every request: its id, its count and its time, and one log line if the service failed."""

from __future__ import annotations

import re
import time
import uuid
from typing import Final

import structlog
from flask import Flask, Response, g, request

from lookup_app.metrics import LookupMetrics

REQUEST_ID: Final = "X-Request-ID"
# The logger's own context belongs to the thread that made it, and requests run in others.
logger = structlog.get_logger(component="lookup")
# A caller's id goes into a header and into the log as it is.
_USABLE_ID: Final = re.compile(r"[\x21-\x7e]{1,128}", re.ASCII).fullmatch
_PATH_CHARACTERS_MAX: Final = 200


def install(app: Flask, metrics: LookupMetrics) -> None:
    """Put the hooks around every request of `app`, those that fail before their route is known included."""

    def finish(response: Response) -> Response:
        latency_s = time.perf_counter() - g.started_s
        response.headers[REQUEST_ID] = g.request_id
        metrics.observe(route_name(), _outcome(response.status_code), response.status_code, latency_s)
        if response.status_code >= 500:
            _log_failure(response.status_code, latency_s)
        return response

    app.before_request(_start)
    app.after_request(finish)


def route_name() -> str:
    """The name of the route, never the path: label values must be few."""
    return request.endpoint or "unmatched"


def _start() -> None:
    g.started_s = time.perf_counter()
    given = request.headers.get(REQUEST_ID, "")
    g.request_id = given if _USABLE_ID(given) else uuid.uuid4().hex


def _outcome(status: int) -> str:
    outcome: str = g.get("outcome") or ("not-modified" if status == 304 else "ok")
    return outcome


def _log_failure(status: int, latency_s: float) -> None:
    logger.error(
        "request_failed",
        request_id=g.request_id,
        method=request.method,
        path=request.path[:_PATH_CHARACTERS_MAX],
        route=route_name(),
        status=status,
        outcome=g.get("outcome"),
        error=str(g.get("error", "")),
        latency_ms=round(latency_s * 1000, 1),
        exc_info=g.error if status == 500 and "error" in g else None,
    )
