"""Instruments and errors as Flask responses. Every error is problem+json, Flask's own included."""

from __future__ import annotations

from typing import Final
from urllib.parse import quote

from flask import Flask, Response, g, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from lookup_app.entries import Instrument
from lookup_app.problems import MEDIA_TYPE, Problem, ProblemType, problem_of

JSON: Final = "application/json"
_INSTANCE_CHARACTERS_MAX: Final = 200
_BY_STATUS: Final = {404: ProblemType.NO_SUCH_ROUTE, 405: ProblemType.METHOD_NOT_ALLOWED}


def instrument_response(instrument: Instrument) -> Response:
    """200 with the stored bytes, or 304 if the caller has them. A cache on the way may keep it, but must ask again."""
    headers = {"Cache-Control": "no-cache", "Instrument-Version": str(instrument.version)}
    response = Response(instrument.body, 200, headers, content_type=JSON)
    response.set_etag(instrument.etag)
    if request.if_none_match.contains_weak(instrument.etag):
        response.status_code = 304
        response.set_data(b"")
        del response.headers["Content-Type"]
    return response


def json_response(body: bytes) -> Response:
    """200 with JSON that no cache keeps."""
    return Response(body, 200, {"Cache-Control": "no-store"}, content_type=JSON)


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
