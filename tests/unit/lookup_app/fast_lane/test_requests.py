"""What the lane takes for a request, and everything else, which it must leave to the server."""

from __future__ import annotations

import pytest

from lookup_app.fast_lane.requests import Request, Requests

GET = b"GET /v1/instruments/037833100 HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST /v1/instruments:batch HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}"


def with_header(line: bytes, request: bytes = GET) -> bytes:
    return request.replace(b"Host: a\r\n", b"Host: a\r\n" + line + b"\r\n")


def test_a_read() -> None:
    request = Requests().whole(with_header(b"X-API-Key: icache_1_2"))
    assert request == Request(
        "GET", "/v1/instruments/037833100", {"HTTP_HOST": "a", "HTTP_X_API_KEY": "icache_1_2"}, b""
    )


def test_a_batch_with_its_body() -> None:
    request = Requests().whole(POST)
    assert request is not None
    assert (request.method, request.path, request.body) == ("POST", "/v1/instruments:batch", b"{}")
    assert request.headers["CONTENT_LENGTH"] == "2"


def test_the_same_headers_are_read_once() -> None:
    requests = Requests()
    first, second = requests.whole(GET), requests.whole(GET.replace(b"037833100", b"594918104"))
    assert first is not None
    assert second is not None
    assert first.headers is second.headers
    assert second.path == "/v1/instruments/594918104"


def test_what_is_remembered_is_bounded() -> None:
    requests = Requests()
    for number in range(2500):
        assert requests.whole(with_header(b"X-Request-ID: %d" % number)) is not None
    assert len(requests._blocks) <= 1000
    assert requests.whole(with_header(b"User-Agent: " + b"x" * 5000)) is not None
    assert all(len(block) < 5000 for block in requests._blocks)


OTHERS = {
    "nothing": b"",
    "a part": GET[:-1],
    "a part of a body": POST[:-1],
    "more than a body": POST + b"x",
    "two": GET + GET,
    "a body that was not announced": GET + b"x",
    "a length without a body": with_header(b"Content-Length: 5"),
    "a length with a sign": with_header(b"Content-Length: +0"),
    "two lengths": with_header(b"Content-Length: 2", POST),
    "chunks": with_header(b"Transfer-Encoding: chunked", POST),
    "an expectation": with_header(b"Expect: 100-continue", POST),
    "an upgrade": with_header(b"Upgrade: h2c"),
    "an end": with_header(b"Connection: close"),
    "a range": with_header(b"Range: bytes=0-1"),
    "a trace": with_header(b"traceparent: 00-0-0-01"),
    "no host": GET.replace(b"Host: a\r\n", b""),
    "no header": b"GET /v1/instruments/037833100 HTTP/1.1\r\n\r\n",
    "two hosts": with_header(b"Host: b"),
    "a folded header": with_header(b"User-Agent: a\r\n b"),
    "a space before the colon": with_header(b"User-Agent : a"),
    "a line that is no header": with_header(b"junk"),
    "a line feed alone": GET.replace(b"\r\n", b"\n"),
    "a carriage return alone": with_header(b"User-Agent: a\rb"),
    "NUL": with_header(b"User-Agent: a\x00"),
    "no ASCII": with_header(b"User-Agent: \xff"),
    "an empty header": with_header(b"If-None-Match: "),
    "HTTP/1.0": GET.replace(b"HTTP/1.1", b"HTTP/1.0"),
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "another method": GET.replace(b"GET", b"DELETE"),
    "a query": GET.replace(b" HTTP", b"?fields=v HTTP"),
    "an escaped character": GET.replace(b"037833100", b"03783310%30"),
    "a whole URL": GET.replace(b"/v1", b"http://a/v1"),
    "another path": GET.replace(b"/v1", b"/v2"),
    "two spaces": GET.replace(b" HTTP", b"  HTTP"),
    "a long path": GET.replace(b"037833100", b"1" * 300),
}


@pytest.mark.parametrize("name", OTHERS)
def test_anything_else_is_for_the_server(name: str) -> None:
    assert Requests().whole(OTHERS[name]) is None
