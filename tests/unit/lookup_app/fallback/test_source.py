"""A source that is slow, broken or something else is unavailable, within the time limit."""

from __future__ import annotations

import socketserver
import threading
import time
from collections.abc import Iterator

import pytest

from instrument_cache.errors import SourceUnavailable
from lookup_app.fallback.settings import FallbackSettings
from lookup_app.fallback.source import RowSource

LIMIT_S = 0.2
V = 1_763_674_000_123_456
OK = b"HTTP/1.1 200 OK\r\nSow-Version: %d\r\nSow-Timestamp: 7\r\nContent-Length: 2\r\n\r\n" % V


class Server(socketserver.ThreadingTCPServer):
    """Sends `pieces` to whoever asks, with `pause_s` before each, and remembers what was asked."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, pieces: list[bytes], pause_s: float) -> None:
        super().__init__(("127.0.0.1", 0), _Exchange)
        self.pieces, self.pause_s, self.asked = pieces, pause_s, b""


class _Exchange(socketserver.BaseRequestHandler):
    server: Server

    def handle(self) -> None:
        self.server.asked = self.request.recv(65536)
        try:
            for piece in self.server.pieces:
                time.sleep(self.server.pause_s)
                self.request.sendall(piece)
        except OSError:
            return


@pytest.fixture
def serve(request: pytest.FixtureRequest) -> Iterator[object]:
    servers: list[Server] = []

    def start(pieces: list[bytes], pause_s: float = 0) -> tuple[RowSource, Server]:
        server = Server(pieces, pause_s)
        servers.append(server)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}/{{dataset}}/rows/{{key}}?a=b"
        return RowSource(FallbackSettings(url, "a-token", LIMIT_S), "instruments", 100), server

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def test_a_row(serve) -> None:  # type: ignore[no-untyped-def]
    source, server = serve([OK, b"{}"])
    assert source.row("03783#10*/..") == (b"{}", V, 7)
    assert server.asked.startswith(b"GET /instruments/rows/03783%2310%2A%2F..?a=b HTTP/1.1\r\n")
    assert b"Authorization: Bearer a-token\r\n" in server.asked


def test_no_row(serve) -> None:  # type: ignore[no-untyped-def]
    source, _ = serve([b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"])
    assert source.row("a") is None


@pytest.mark.parametrize(
    ("pieces", "pause_s"),
    [
        ([], 0),
        ([b"nonsense\r\n\r\n"], 0),
        ([b"HTTP/1.1 500 Oh\r\n\r\n"], 0),
        ([b"HTTP/1.1 401 Who\r\n\r\n"], 0),
        ([b"HTTP/1.1 302 There\r\nLocation: http://127.0.0.1:1/\r\n\r\n"], 0),
        ([b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"], 0),
        ([b"HTTP/1.1 200 OK\r\nSow-Version: x\r\nContent-Length: 2\r\n\r\n{}"], 0),
        ([OK, b"{"], 0),
        ([b"HTTP/1.1 200 OK\r\nSow-Version: 1\r\n\r\n", b"x" * 101], 0),
        ([OK, b"{}"], 1.0),
        ([bytes([byte]) for byte in OK], 0.05),
        ([OK, b"{", b"}"], 0.15),
    ],
    ids=["hangs up", "no HTTP", "500", "401", "302", "no version", "bad version", "half", "too large", "slow", "drips",
         "drips the body"],
)  # fmt: skip
def test_what_is_no_answer(serve, pieces: list[bytes], pause_s: float) -> None:  # type: ignore[no-untyped-def]
    source, _ = serve(pieces, pause_s)
    started_s = time.monotonic()
    with pytest.raises(SourceUnavailable):
        source.row("a")
    assert time.monotonic() - started_s < LIMIT_S + 0.5


def test_nobody_there() -> None:
    source = RowSource(FallbackSettings("http://127.0.0.1:1/{key}", None, LIMIT_S), "instruments", 100)
    with pytest.raises(SourceUnavailable, match="refused"):
        source.row("a")
