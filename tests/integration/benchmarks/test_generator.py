"""The load generator against a small server whose answers are known."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from benchmarks.lookup_load.generator import Generator, Load
from instrument_cache.errors import InstrumentCacheError

STALL_S = 0.5


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        if self.path == "/hangs-up":
            self.close_connection = True
            return
        if self.path == "/stalls":
            time.sleep(STALL_S)
        body = b"x" * 100
        self.send_response(404 if self.path == "/unknown" else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def port() -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


@pytest.fixture
def generator(tmp_path: Path) -> Generator:
    return Generator(tmp_path)


def get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: test\r\n\r\n".encode()


def send(generator: Generator, port: int, *paths: str, connections: int = 2, rate: float = 200) -> Load:
    requests = [get(path) for path in paths]
    return generator.run(port, requests, connections=connections, rate=rate, seconds=1, warm_up_s=0.2)


def test_it_keeps_to_the_schedule(generator: Generator, port: int) -> None:
    load = send(generator, port, "/")
    assert (abs(load.answers - 200) <= 4, load.errors) == (True, 0)
    assert load.p50_us <= load.p95_us <= load.p99_us <= load.max_us


def test_without_a_rate_it_asks_as_fast_as_answers_come(generator: Generator, port: int) -> None:
    assert send(generator, port, "/", rate=0).answers > 200


def test_other_answers_than_success_are_errors(generator: Generator, port: int) -> None:
    load = send(generator, port, "/", "/unknown")
    assert abs(load.answers - 2 * load.not_2xx) <= 2


def test_a_connection_that_is_closed_is_a_broken_request_and_the_next_goes_on(generator: Generator, port: int) -> None:
    load = send(generator, port, "/hangs-up", "/", rate=100)
    assert (load.broken >= 40, load.answers >= 40, load.not_2xx) == (True, True, 0)


def test_a_request_that_must_wait_for_a_connection_is_late_from_when_it_was_due(
    generator: Generator, port: int
) -> None:
    load = send(generator, port, "/stalls", *["/"] * 1000, connections=1, rate=100)
    assert load.answers >= 90
    assert load.max_us >= 0.9 * (STALL_S - 0.2) * 1e6  # of the first request the warm-up hides 0.2 s


def test_what_an_overloaded_server_was_not_asked_in_time_is_asked_late(generator: Generator, port: int) -> None:
    load = send(generator, port, "/stalls", connections=2, rate=10)  # it can answer 4 per second
    assert (load.answers in (9, 10, 11), load.errors) == (True, 0)
    assert load.max_us > 1e6


def test_a_server_that_is_away_is_said(generator: Generator) -> None:
    with pytest.raises(InstrumentCacheError, match="cannot connect"):
        send(generator, 1, "/")
