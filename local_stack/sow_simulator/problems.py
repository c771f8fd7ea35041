"""Refusals as JSON: the value, the rule that it breaks, and the way out."""

from __future__ import annotations

import sqlite3

import structlog
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

log = structlog.get_logger()


class Problem(Exception):
    """A request that is refused. `more` goes into the body beside value, rule and way out."""

    def __init__(self, status: int, value: str, rule: str, way_out: str, **more: int | str) -> None:
        super().__init__(f"{value}: {rule}; {way_out}")
        self.status = status
        self.body: dict[str, int | str] = {"value": value, "rule": rule, "way_out": way_out, **more}

    def response(self) -> JSONResponse:
        """The answer to the client."""
        return JSONResponse(self.body, status_code=self.status)


async def refuse(_: Request, error: Exception) -> Response:
    """Starlette's handler of Problem."""
    assert isinstance(error, Problem)
    log.info("request_refused", status=error.status, **error.body)
    return error.response()


async def refuse_route(request: Request, error: Exception) -> Response:
    """Starlette's handler of unknown paths and methods."""
    assert isinstance(error, HTTPException)
    value = f"{request.method} {request.url.path}"
    problem = Problem(error.status_code, value, error.detail, "local_stack/sow_simulator/README.md lists the requests")
    answer = problem.response()
    answer.headers.update(error.headers or {})
    return answer


def not_stored(error: sqlite3.Error, **more: int) -> Problem:
    """The refusal when the database cannot write."""
    return Problem(
        507, str(error), "changes must reach the disk", "make room in --data-dir, then send it again", **more
    )


async def refuse_storage(request: Request, error: Exception) -> Response:
    """Starlette's handler of errors of the database."""
    assert isinstance(error, sqlite3.Error)
    return await refuse(request, not_stored(error))
