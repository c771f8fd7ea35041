"""The adapter to the SOW simulator: its open protocol over HTTP behind the kernel's source interface."""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final
from urllib.parse import parse_qsl, quote, urlsplit

import httpx

from feed.sources.frames import FrameParser
from instrument_cache.errors import SettingsError, SourceUnavailable
from instrument_cache.settings import Environment
from instrument_cache.source.interface import Put, RowRefused, SnapshotEnd, SourceEvent, check_row

HEARTBEATS_MISSED_S_MAX: Final = 5.0
ANSWER_S_MAX: Final = 60.0
CHUNK_ROWS_MAX: Final = 10_000
CHUNK_BYTES_MAX: Final = 8 * 1024 * 1024
CHUNK_KEYS_MAX: Final = 1_000


class SimulatorSource:
    """Implements `Source`. Threads may share it: each stream has a connection of its own.

    `url` is that of the topic, `http://host:port/v1/topics/{topic}`. With `compress`, rows travel as gzip. They are
    sent in chunks of up to CHUNK_ROWS_MAX: a caller that has a few now and more later calls `publish` for each lot.
    """

    def __init__(self, url: str, token: str, *, compress: bool = False) -> None:
        self._url = url
        self._options: dict[str, Any] = {
            "headers": {"Authorization": f"Bearer {token}"},
            "trust_env": False,  # a proxy of the environment must not stand between two parts of the product
        }
        self._compress = compress
        self._client = httpx.Client(**self._options, timeout=httpx.Timeout(HEARTBEATS_MISSED_S_MAX, read=ANSWER_S_MAX))
        self._closed = False

    def subscribe(self) -> Iterator[SourceEvent]:
        yield from self._stream("/subscribe")
        raise SourceUnavailable(f"{self._url} ended the subscription: subscribe again")

    def snapshot(self) -> Iterator[SourceEvent]:
        for event in self._stream("/snapshot"):
            yield event
            if isinstance(event, SnapshotEnd):
                return
        raise SourceUnavailable(f"the snapshot of {self._url} broke off before its end: read it again")

    def rows(self, keys: Sequence[str]) -> list[Put | None]:
        found = {put.key: put for chunk in _parts(keys) for put in self._rows(chunk)}
        return [found.get(key) for key in keys]

    def _rows(self, keys: Sequence[str]) -> list[Put]:
        puts: list[Put] = []
        for event in self._stream("/rows", "POST", {"keys": list(keys)}):
            if isinstance(event, SnapshotEnd):
                return puts
            if isinstance(event, Put):
                puts.append(event)
        raise SourceUnavailable(f"{self._url} broke off after {len(puts)} of up to {len(keys)} rows: ask again")

    def publish(self, rows: Iterable[bytes]) -> int:
        return sum(self._publish(chunk) for chunk in _chunks(rows))

    def delete(self, keys: Iterable[str]) -> int:
        return sum(self._call("POST", "/delete", json={"keys": chunk})["deleted"] for chunk in _parts(list(keys)))

    def count(self) -> int:
        rows: int = self._call("GET", "")["rows"]
        return rows

    def close(self) -> None:
        # A stream in another thread sees the mark at its next piece: a heartbeat at the latest.
        self._closed = True
        self._client.close()

    def _publish(self, body: bytes) -> int:
        headers = {"Content-Type": "application/x-ndjson"}
        if self._compress:
            headers["Content-Encoding"] = "gzip"
            body = gzip.compress(body, compresslevel=1)
        published: int = self._call("POST", "/publish", content=body, headers=headers)["published"]
        return published

    def _call(self, method: str, path: str, **request: Any) -> dict[str, Any]:
        self._check_open()
        with self._as_unavailable():
            response = self._client.request(method, self._url + path, **request)
        self._check(response)
        answer: dict[str, Any] = response.json()
        return answer

    def _stream(self, path: str, method: str = "GET", body: Any = None) -> Iterator[SourceEvent]:
        self._check_open()
        parser = FrameParser()
        timeout = httpx.Timeout(HEARTBEATS_MISSED_S_MAX)
        with (
            self._as_unavailable(),
            httpx.Client(**self._options, timeout=timeout) as client,
            client.stream(method, self._url + path, json=body) as response,
        ):
            if response.is_error:
                response.read()
            self._check(response)
            for piece in response.iter_raw():
                self._check_open()
                yield from parser.feed(piece)

    @contextmanager
    def _as_unavailable(self) -> Iterator[None]:
        try:
            yield
        except httpx.HTTPError as error:
            reason = str(error) or type(error).__name__
            raise SourceUnavailable(f"{self._url} does not answer ({reason}): is it running?") from error

    def _check_open(self) -> None:
        if self._closed:
            raise SourceUnavailable(f"the source {self._url} was closed: open it again")

    def _check(self, response: httpx.Response) -> None:
        status = response.status_code
        if status in (401, 403):
            raise SettingsError(f"{self._url} refuses the token ({status}): set ICACHE_SOURCE_TOKEN to the simulator's")
        if status == 404:
            raise SettingsError(f"{self._url} is not a topic of the simulator (404): correct ICACHE_SOURCE_URL")
        if response.is_client_error:
            raise RowRefused(f"{self._url} refuses the request ({status}): {response.text[:500]}")
        if not response.is_success:
            raise SourceUnavailable(f"{self._url} answers {status}: {response.text[:500]}")


def _parts(keys: Sequence[str]) -> Iterator[Sequence[str]]:
    return (keys[at : at + CHUNK_KEYS_MAX] for at in range(0, len(keys), CHUNK_KEYS_MAX))


def _chunks(rows: Iterable[bytes]) -> Iterator[bytes]:
    """Rows → request bodies of bounded size."""
    chunk: list[bytes] = []
    chunk_bytes = 0
    for row in rows:
        chunk.append(check_row(row))
        chunk_bytes += len(row)
        if len(chunk) >= CHUNK_ROWS_MAX or chunk_bytes >= CHUNK_BYTES_MAX:
            yield b"\n".join(chunk)
            chunk, chunk_bytes = [], 0
    if chunk:
        yield b"\n".join(chunk)


def open_source(url: str, env: Environment) -> SimulatorSource:
    """`sow+http://host:port/topic[?compress=gzip]`, with the token of ICACHE_SOURCE_TOKEN or its _FILE."""
    parts = urlsplit(url)
    topic = parts.path.strip("/")
    options = dict(parse_qsl(parts.query))
    if not parts.netloc or not topic or "/" in topic or options not in ({}, {"compress": "gzip"}):
        raise SettingsError(
            f"the source URL {url!r} must have the form sow+http://host:port/topic, optionally with ?compress=gzip: "
            "correct ICACHE_SOURCE_URL"
        )
    base = f"{parts.scheme.removeprefix('sow+')}://{parts.netloc}/v1/topics/{quote(topic)}"
    return SimulatorSource(base, env.secret("ICACHE_SOURCE_TOKEN"), compress=bool(options))
