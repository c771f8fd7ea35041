"""The head of a request, read strictly."""

from __future__ import annotations

import pytest

from lookup_app.changes.request import parse_head
from lookup_app.problems import Problem, ProblemType


def head(*lines: bytes) -> bytes:
    return b"\r\n".join([*lines, b"", b""])


def test_a_request() -> None:
    request = parse_head(head(b"GET /v1/a%20b/changes?ids=1&x=%C3%A9 HTTP/1.1", b"Host: x", b"Last-Event-ID:  y \t"))
    assert (request.method, request.path) == ("GET", "/v1/a b/changes")
    assert request.headers == {"host": "x", "last-event-id": "y"}
    assert request.parameters(("ids", "x")) == {"ids": "1", "x": "\u00e9"}


@pytest.mark.parametrize(
    "lines",
    [
        (b"GET / HTTP/2",),
        (b"GET  / HTTP/1.1",),
        (b"GET nothing HTTP/1.1",),
        (b"GET http://x/ HTTP/1.1",),
        (b"get / HTTP/1.1",),
        (b"GET /\x00 HTTP/1.1",),
        (b"GET /\xff HTTP/1.1",),
        (b"GET /%ff HTTP/1.1",),
        (b"",),
        (b"GET / HTTP/1.1", b"no colon"),
        (b"GET / HTTP/1.1", b" folded: x"),
        (b"GET / HTTP/1.1", b"name : x"),
        (b"GET / HTTP/1.1", b"name: a\x00b"),
        (b"GET / HTTP/1.1", b"name: a\nb"),
        (b"GET / HTTP/1.1", b"a: 1", b"A: 2"),
        (b"POST / HTTP/1.1", b"Content-Length: 5"),
        (b"GET / HTTP/1.1", b"Transfer-Encoding: chunked"),
        (b"GET / HTTP/1.1", b"a:" + b" " * 60_000 + b"\x00"),
    ],
)
def test_what_is_no_request_is_refused(lines: tuple[bytes, ...]) -> None:
    with pytest.raises(Problem) as raised:
        parse_head(head(*lines))
    assert raised.value.kind is ProblemType.BAD_REQUEST


@pytest.mark.parametrize("query", ["a=1&a=2", "b=1", "a=%ff", "&".join(["a=1"] * 50)])
def test_parameters_that_nobody_reads_are_refused(query: str) -> None:
    request = parse_head(head(f"GET /?{query} HTTP/1.1".encode()))
    with pytest.raises(Problem) as raised:
        request.parameters(("a",))
    assert raised.value.kind is ProblemType.INVALID_QUERY
