"""`python -m lookup_app` with its fast lane: the same answers as without, and the same care for slow or bad clients."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import httpx
import pytest

from instrument_cache.api_keys import KeyStore
from instrument_cache.connections import redis_client
from instrument_cache.store.redis import RedisStore
from tests.integration.lookup_app.hot_path.corpus import APPLE, BROKEN, DELETED, MICROSOFT, REQUESTS, Request
from tests.integration.lookup_app.servers import PROJECT, RedisServer, wait_until
from tests.integration.lookup_app.test_bad_input import RAW, exchange
from tests.integration.lookup_app.test_server import PATH, Lookup, is_cut, lookup, opened

VERSION = 1_763_674_000_123_456
HEAD = f"GET {PATH} HTTP/1.1\r\nHost: a\r\n".encode()
# They differ by nature, or are the server's own.
_OWN = {"date", "server", "x-request-id", "connection", "transfer-encoding"}
Answer = tuple[int, list[tuple[str, str]], bytes]


@pytest.fixture(scope="module")
def redis_of_all(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    server.start()
    deleted = time.time_ns() // 1000 - 60_000_000
    RedisStore(redis_client(server.url, name="test"), "instruments").offer(
        {
            f"instr:{APPLE}": b'{"v":%d,"cusip":"037833100","pme":"P-1","name":"Apple \xc3\xa4"}' % VERSION,
            f"instr:{MICROSOFT}": b'{"v":%d,"cusip":"594918104"}' % VERSION,
            f"instr:{DELETED}": b'{"v":%d,"~deleted_at":%d}' % (deleted, deleted),
            f"instr:{BROKEN}": b"garbage",
            "pme:P-1": b'{"v":%d,"cusip":"037833100"}' % VERSION,
        }
    )
    yield server
    server.kill()


@pytest.fixture(scope="module")
def lane(redis_of_all: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lookup]:
    with lookup(tmp_path_factory.mktemp("lane"), redis_of_all, FAST_LANE="true") as server:
        yield server


@pytest.fixture(scope="module")
def without(redis_of_all: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lookup]:
    with lookup(tmp_path_factory.mktemp("without"), redis_of_all) as server:
        yield server


def sent(request: Request, etag: str) -> bytes:
    """A request as bytes, also where a client library would not send it."""
    headers = [("Host", "a"), *request.headers]
    if request.body is not None:
        headers.append(("Content-Length", str(len(request.body))))
    lines = [f"{name}: {value}\r\n" for name, value in headers]
    head = f"{request.method} {request.path} HTTP/1.1\r\n{''.join(lines)}\r\n".replace("{etag}", etag)
    return head.encode() + (request.body or b"")


def answer(server: Lookup, data: bytes, method: str) -> Answer:
    """Of one request on a connection of its own."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as link:
        link.sendall(data)
        return received(link, method)


def received(link: socket.socket, method: str = "GET") -> Answer:
    """Status, headers in order of their names, and body."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = link.recv(65536)
        assert piece, data
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    status, *lines = head.decode("latin-1").split("\r\n")
    headers = [(name.lower(), value.strip()) for name, _, value in (line.partition(":") for line in lines)]
    length = int(dict(headers).get("content-length", "0")) if method != "HEAD" else 0
    while len(body) < length:
        body += link.recv(65536)
    headers = [(name, _ordered(value) if name == "allow" else value) for name, value in headers if name not in _OWN]
    return int(status.split()[1]), sorted(headers), body


def _ordered(methods: str) -> str:
    """Each process names them in an order of its own."""
    return ", ".join(sorted(methods.split(", ")))


def test_the_same_answers_as_without(lane: Lookup, without: Lookup) -> None:
    etag = dict(answer(lane, HEAD + b"\r\n", "GET")[1])["etag"]
    statuses = set()
    for request in REQUESTS:
        data = sent(request, etag)
        if b"chunked" in data.lower():
            continue  # the body is not in chunks
        expected = answer(without, data, request.method)
        for _ in range(3):  # read, read again, and ready
            assert answer(lane, data, request.method) == expected, request
        statuses.add(expected[0])
    assert {200, 304, 400, 404, 405, 415, 503} <= statuses


def test_a_connection_answers_one_request_after_the_other(lane: Lookup) -> None:
    with socket.create_connection(("127.0.0.1", lane.port), timeout=20) as link:
        for _ in range(5):
            link.sendall(HEAD + b"\r\n")
            assert received(link)[0] == 200
        # What the lane leaves to the server goes there with all that follows.
        for path in (b"/readyz", b"/v1/instruments?pme=P-1", PATH.encode()):
            link.sendall(b"GET %b HTTP/1.1\r\nHost: a\r\n\r\n" % path)
            assert received(link)[0] == 200


def test_pipelined_requests_are_answered_in_order(lane: Lookup) -> None:
    paths = (b"037833100", b"bad", b"594918104", b"037833100?fields=v")
    requests = [b"GET /v1/instruments/%b HTTP/1.1\r\nHost: a\r\n" % path for path in paths]
    at_once = exchange(lane, b"\r\n".join([*requests, b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"]))  # type: ignore[arg-type]
    assert [part[:3] for part in at_once.split(b"HTTP/1.1 ")[1:]] == [b"200", b"400", b"200", b"200", b"200"]
    with socket.create_connection(("127.0.0.1", lane.port), timeout=20) as link:
        for request in requests:  # without waiting, but each in a packet of its own
            link.sendall(request + b"\r\n")
        data = b""
        while data.count(b"HTTP/1.1 ") < 4:
            data += link.recv(65536)
        assert [part[:3] for part in data.split(b"HTTP/1.1 ")[1:]] == [b"200", b"400", b"200", b"200"]


def test_what_is_no_request_is_refused(lane: Lookup) -> None:
    for name, data in RAW.items():
        got = exchange(lane, data)  # type: ignore[arg-type]
        assert got == b"" or got.startswith((b"HTTP/1.1 4", b"HTTP/1.0 4")), (name, got[:100])
    assert answer(lane, HEAD + b"\r\n", "GET")[0] == 200


def test_each_request_is_charged_once(redis_of_all: RedisServer, tmp_path: Path) -> None:
    key = KeyStore.connect(redis_of_all.url).create("desk", ["instruments"])
    limits = {"AUTH": "api-key", "RATE_PER_S": "1", "RATE_BURST": "1000"}
    with lookup(tmp_path, redis_of_all, FAST_LANE="true", **limits) as server:
        began_s = time.monotonic()
        with httpx.Client(base_url=server.url, headers={"X-API-Key": key}) as client:
            paths = [PATH] * 20 + ["/v1/instruments/023135106"] * 10 + ["/v1/instruments/594918104"] * 10
            answers = [client.get(path) for path in paths]
            answers += [client.post("/v1/instruments:batch", json={"ids": [APPLE]}) for _ in range(10)]
        left = int(answers[-1].headers["RateLimit"].partition("r=")[2].partition(";")[0])
        assert [got.status_code for got in answers] == [200] * 20 + [404] * 10 + [200] * 20
        assert 950 <= left <= 951 + time.monotonic() - began_s
        assert httpx.get(server.url + PATH).status_code == 401
        assert httpx.get(server.url + PATH, headers={"X-API-Key": key[:-1] + "x"}).status_code == 401


def shows(client: httpx.Client, version: int) -> bool:
    return bool(client.get(PATH).json().get("v") == version)


def test_a_changed_instrument_is_seen(redis_server: RedisServer, tmp_path: Path, change: Callable[..., int]) -> None:
    for size in ("0", "16777216"):
        with ExitStack() as stack:
            server = stack.enter_context(lookup(tmp_path, redis_server, FAST_LANE="true", CACHE_BYTES=size))
            client = stack.enter_context(httpx.Client(base_url=server.url))
            for _ in range(20):
                version = change({"cusip": "037833100", "pme": "P-1"})
                wait_until(partial(shows, client, version), "it is seen", timeout_s=5)


def test_a_redis_that_hangs_or_dies(redis_server: RedisServer, tmp_path: Path, change: Callable[..., int]) -> None:
    change({"cusip": "037833100", "pme": "P-1"})
    with ExitStack() as stack:
        server = stack.enter_context(lookup(tmp_path, redis_server, FAST_LANE="true", THREADS="1", CACHE_BYTES="0"))
        limits = httpx.Limits(max_connections=32)
        client = stack.enter_context(httpx.Client(base_url=server.url, limits=limits, timeout=30))
        assert client.get(PATH).status_code == 200
        redis_server.signal(signal.SIGSTOP)

        def get(_: int) -> tuple[int, float]:
            started_s = time.perf_counter()
            return client.get(PATH).status_code, time.perf_counter() - started_s

        with ThreadPoolExecutor(32) as pool:
            answers = list(pool.map(get, range(128)))
        assert {status for status, _ in answers} == {503}
        # One after the other on one thread they would take 128 * 0.15 = 19 s.
        assert max(latency_s for _, latency_s in answers) < 1.0
        redis_server.signal(signal.SIGCONT)
        wait_until(lambda: client.get(PATH).status_code == 200, "it answers again", timeout_s=5)
        redis_server.kill()
        assert client.get(PATH).status_code == 503
        redis_server.start()
        wait_until(lambda: client.get(PATH).status_code == 404, "it reads the new one, which is empty", timeout_s=5)


def test_sigterm_lets_requests_finish(redis_server: RedisServer, tmp_path: Path, change: Callable[..., int]) -> None:
    change({"cusip": "037833100", "pme": "P-1"})
    with lookup(tmp_path, redis_server, FAST_LANE="true", CACHE_BYTES="0", REDIS_TIMEOUT_MS="5000") as server:
        assert httpx.get(server.url + PATH).status_code == 200
        redis_server.signal(signal.SIGSTOP)
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(httpx.get, server.url + PATH, timeout=30)
            time.sleep(0.3)  # it was read, and waits for Redis
            server.terminate()
            wait_until(lambda: not accepts(server), "no more connections are accepted")
            redis_server.signal(signal.SIGCONT)
            assert waiting.result().status_code == 200
        assert server.process is not None
        assert server.process.wait(timeout=30) == 0


def accepts(server: Lookup) -> bool:
    try:
        socket.create_connection(("127.0.0.1", server.port), timeout=5).close()
    except OSError:
        return False
    return True


def test_connections_beyond_the_limit_wait(redis_of_all: RedisServer, tmp_path: Path) -> None:
    with lookup(tmp_path, redis_of_all, FAST_LANE="true", CONNECTIONS_MAX="4") as server, ExitStack() as stack:
        first = [stack.enter_context(opened(server, HEAD + b"\r\n")) for _ in range(4)]
        assert [received(link)[0] for link in first] == [200] * 4
        late = stack.enter_context(opened(server, HEAD + b"\r\n"))
        late.settimeout(0.3)
        with pytest.raises(TimeoutError):
            late.recv(1)
        first[0].close()
        late.settimeout(10)
        assert received(late)[0] == 200


def test_who_says_nothing_is_cut(redis_of_all: RedisServer, tmp_path: Path) -> None:
    with lookup(tmp_path, redis_of_all, FAST_LANE="true", HEADER_TIMEOUT_S="1") as server, ExitStack() as stack:
        silent = [stack.enter_context(opened(server, data)) for data in (b"", HEAD + b"\r\n")]
        wait_until(lambda: all(is_cut(link) for link in silent), "both are cut", timeout_s=10)


@pytest.mark.parametrize(
    "own", [{"RATE_PER_S": "5"}, {"HOT_PATH": "false"}, {"FAST_LANE": "perhaps"}], ids=["limit", "no hot path", "text"]
)
def test_a_lane_that_cannot_be_had_is_said_in_one_line(own: dict[str, str], redis_of_all: RedisServer) -> None:
    settings = {f"ICACHE_LOOKUP_{name}": value for name, value in {"FAST_LANE": "true", **own}.items()}
    environment = {**os.environ, "PYTHONPATH": str(PROJECT), "ICACHE_REDIS_URL": redis_of_all.url, **settings}
    command = [sys.executable, "-m", "lookup_app", "--port", "1"]
    done = subprocess.run(command, env=environment, cwd=PROJECT, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert done.stderr.startswith("lookup: ICACHE_LOOKUP_FAST_LANE is")
