"""An answer of the application as bytes."""

from __future__ import annotations

from lookup_app.fast_lane.answer import Answer


def encoded(status: str, headers: list[tuple[str, str]], *parts: bytes, own: tuple[tuple[str, str], ...] = ()) -> bytes:
    answer = Answer(own)
    answer(status, headers)
    data = answer.encoded(parts)
    head, _, body = data.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    assert lines[-1].startswith(b"date: ")
    return b"|".join([*lines[:-1], body])


def test_status_headers_and_body() -> None:
    found = encoded("200 OK", [("ETag", '"1"'), ("Content-Length", "4")], b"ab", b"cd")
    assert found == b'HTTP/1.1 200 OK|ETag: "1"|Content-Length: 4|abcd'


def test_a_length_is_added_where_there_is_a_body() -> None:
    assert encoded("404 NOT FOUND", [], b"ab") == b"HTTP/1.1 404 Not Found|Content-Length: 2|ab"
    assert encoded("304 NOT MODIFIED", []) == b"HTTP/1.1 304 Not Modified|"


def test_a_header_of_ones_own() -> None:
    found = encoded("200 OK", [("Content-Length", "0")], own=(("Instrument-Epoch", "3"),))
    assert found == b"HTTP/1.1 200 OK|Content-Length: 0|Instrument-Epoch: 3|"


def test_whether_the_connection_ends() -> None:
    answer = Answer()
    answer("200 OK", [("Connection", "close")])
    assert answer.closes
    answer("200 OK", [])
    assert not answer.closes
