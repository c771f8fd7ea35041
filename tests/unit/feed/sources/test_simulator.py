"""The adapter against servers that answer otherwise than the simulator; the rest is in the contract suite."""

from __future__ import annotations

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from feed.sources.simulator import SimulatorSource, open_source
from instrument_cache.errors import SettingsError, SourceUnavailable
from instrument_cache.settings import Environment
from instrument_cache.source.interface import RowRefused, SnapshotBegin

ENV = Environment({"ICACHE_SOURCE_TOKEN": "secret"})
BEGIN = b'{"type":"begin","topic":"t","position":0,"rows":0,"length":0}\n\n'
ANSWERS = {
    "/broken/snapshot": (200, BEGIN),
    "/broken/subscribe": (200, BEGIN),
    "/html/snapshot": (200, b"<html>\n"),
    "/full/publish": (507, b'{"value":"disk full"}'),
    "/strict/publish": (413, b'{"value":"too large"}'),
}


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        status, body = ANSWERS[self.path]
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET

    def log_message(self, *_: object) -> None:
        """Tests are quiet."""


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_snapshot_without_end_is_not_a_snapshot(url: str) -> None:
    events = SimulatorSource(f"{url}/broken", "secret").snapshot()
    assert isinstance(next(events), SnapshotBegin)
    with pytest.raises(SourceUnavailable, match="broke off before its end"):
        next(events)


def test_a_subscription_that_ends_is_an_error(url: str) -> None:
    events = SimulatorSource(f"{url}/broken", "secret").subscribe()
    assert isinstance(next(events), SnapshotBegin)
    with pytest.raises(SourceUnavailable, match="subscribe again"):
        next(events)


def test_another_kind_of_server_is_found_out(url: str) -> None:
    with pytest.raises(SourceUnavailable, match="not a frame"):
        list(SimulatorSource(f"{url}/html", "secret").snapshot())


def test_the_reason_of_the_server_is_passed_on(url: str) -> None:
    with pytest.raises(SourceUnavailable, match=r"507.*disk full"):
        SimulatorSource(f"{url}/full", "secret").publish([b"a"])
    with pytest.raises(RowRefused, match=r"413.*too large"):
        SimulatorSource(f"{url}/strict", "secret").publish([b"a"])


@pytest.mark.parametrize(
    "url",
    [
        "sow+http://127.0.0.1:8082",
        "sow+http://127.0.0.1:8082/",
        "sow+http:///instruments",
        "sow+http://127.0.0.1:8082/a/b",
        "sow+http://127.0.0.1:8082/instruments?compress=zstd",
        "sow+http://127.0.0.1:8082/instruments?speed=high",
    ],
)
def test_a_url_of_another_form_is_refused(url: str) -> None:
    with pytest.raises(SettingsError, match="must have the form"):
        open_source(url, ENV)


def test_a_token_is_needed() -> None:
    with pytest.raises(SettingsError, match="ICACHE_SOURCE_TOKEN"):
        open_source("sow+http://127.0.0.1:8082/instruments", Environment({}))
