"""Instruments and errors as Flask responses. Every error is problem+json, Flask's own included."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from urllib.parse import quote

from flask import Flask, Response, g, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed
from werkzeug.http import parse_date

from lookup_app.batch import NDJSON, batch_body, batch_lines, stale_s_max
from lookup_app.entries import Instrument
from lookup_app.headers import JSON, Headers
from lookup_app.problems import MEDIA_TYPE, Problem, ProblemType, problem_of
from lookup_app.stale import stale_headers

_INSTANCE_CHARACTERS_MAX: Final = 200
_BY_STATUS: Final = {404: ProblemType.NO_SUCH_ROUTE, 405: ProblemType.METHOD_NOT_ALLOWED}


def instrument_response(instrument: Instrument, headers: Headers) -> Response:
    """200 with the instrument, or 304 if the caller has it."""
    if _caller_has(instrument, headers):
        response = Response(b"", 304, headers)
        del response.headers["Content-Type"]
        return response
    return Response(instrument.body, 200, headers, content_type=JSON)


def _caller_has(instrument: Instrument, headers: Headers) -> bool:
    """By the ETag if the caller sends one, else by the very second that was answered before.

    "Not later than that second" would not do: an alias may come to lead to an instrument that changed earlier.
    """
    if "If-None-Match" in request.headers:
        return request.if_none_match.contains_weak(instrument.etag)
    modified = dict(headers).get("Last-Modified")
    return modified is not None and parse_date(modified) == request.if_modified_since


def json_response(body: bytes, stale_s: float | None = None) -> Response:
    """200 with JSON that no cache keeps."""
    return Response(body, 200, [("Cache-Control", "no-store"), *stale_headers(stale_s)], content_type=JSON)


def batch_response(ids: Sequence[str], results: Sequence[Instrument | Problem]) -> Response:
    """200 in the form that the caller accepts: JSON unless it asks for NDJSON."""
    as_lines = request.accept_mimetypes.best_match([JSON, NDJSON], JSON) == NDJSON
    body = batch_lines(ids, results) if as_lines else batch_body(ids, results)
    headers = [("Cache-Control", "no-store"), ("Vary", "Accept"), *stale_headers(stale_s_max(results))]
    return Response(body, 200, headers, content_type=NDJSON if as_lines else JSON)


def install(app: Flask) -> None:
    """Make every error of `app` a problem."""
    app.register_error_handler(HTTPException, _answer_http_error)
    app.register_error_handler(Exception, _answer_error)


def _answer_error(error: Exception) -> Response:
    g.error = error.__cause__ if isinstance(error, Problem) and error.__cause__ else error
    return _problem_response(problem_of(error))


def _answer_http_error(error: HTTPException) -> Response:
    """An error that Flask or its router raised."""
    kind = _BY_STATUS.get(error.code or 0, ProblemType.BAD_REQUEST)
    response = _problem_response(Problem(kind, _detail(kind)))
    if isinstance(error, MethodNotAllowed) and error.valid_methods:
        response.headers["Allow"] = ", ".join(sorted(error.valid_methods))
    return response


def _detail(kind: ProblemType) -> str:
    if kind is ProblemType.NO_SUCH_ROUTE:
        return "This path is not one of the service's; docs/api.md lists them."
    if kind is ProblemType.METHOD_NOT_ALLOWED:
        return f"The method {request.method[:20]!r} is not one of this route's; the header Allow lists them."
    return "The request is not well formed."


def _problem_response(problem: Problem) -> Response:
    g.outcome = problem.kind.slug
    instance = quote(request.path[:_INSTANCE_CHARACTERS_MAX], safe="/:@*,;=+$!~'()")
    return Response(problem.body(instance), problem.kind.status, problem.headers, content_type=MEDIA_TYPE)
