"""The service as it is run: under granian, over sockets."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.integration.lookup_app.servers import Granian, RedisServer, wait_until

APPLE = {"cusip": "037833100", "pme": "P-1", "name": "Apple"}
PATH = "/v1/instruments/037833100"
BATCH = "/v1/instruments:batch"
Change = Callable[..., int]


def workers_of(server: Granian) -> list[int]:
    assert server.process is not None
    children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children")
    return [int(pid) for pid in children.read_text().split()]


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_serves_the_stored_bytes(granian: Granian, redis_server: RedisServer, change: Change) -> None:
    change(APPLE)
    answer = httpx.get(granian.url + PATH)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    assert answer.content == redis_server.admin.get("instr:037833100")
    etag = answer.headers["etag"]
    assert httpx.get(granian.url + PATH, headers={"If-None-Match": etag}).status_code == 304
    assert httpx.get(f"{granian.url}/v1/instruments", params={"pme": "P-1"}).content == answer.content
    batch = httpx.post(granian.url + BATCH, json={"ids": ["037833100"] * 1000})
    assert batch.content.count(answer.content) == 1000


ODD_PATHS = [
    "/v1/instruments/%00",
    "/v1/instruments/037833100%0d%0aX:%20y",
    "/v1/instruments/%EF%BC%9037833100",
    "/v1/instruments/%ff",
    "/v1/instruments/*",
    "/v1/instruments?pme=%ff",
    "/v1/instruments/" + "1" * 60_000,
    "/nowhere",
]


def test_odd_paths_are_problems(granian: Granian) -> None:
    for path in ODD_PATHS:
        answer = httpx.get(granian.url + path)
        assert answer.status_code in {400, 404}, path
        assert answer.headers["content-type"] == "application/problem+json", path
        assert "x" not in [name.lower() for name in answer.headers], path


def test_a_body_over_the_limit(granian: Granian) -> None:
    body = json.dumps({"ids": ["x" * 3_000_000]}).encode()
    in_chunks = (body[at : at + 65536] for at in range(0, len(body), 65536))
    for content in (body, in_chunks):
        answer = httpx.post(granian.url + BATCH, content=content, headers={"Content-Type": "application/json"})
        assert (answer.status_code, answer.json()["limit"]) == (413, 1024 * 1024)


def test_a_hung_redis_does_not_make_requests_queue(granian: Granian, redis_server: RedisServer, change: Change) -> None:
    change(APPLE)
    with httpx.Client(base_url=granian.url, limits=httpx.Limits(max_connections=32)) as client:
        assert client.get(PATH).status_code == 200
        redis_server.signal(signal.SIGSTOP)

        def get(_: int) -> tuple[int, float]:
            started_s = time.perf_counter()
            status = client.get(PATH, timeout=30).status_code
            return status, time.perf_counter() - started_s

        with ThreadPoolExecutor(32) as pool:
            answers = list(pool.map(get, range(128)))
        assert {status for status, _ in answers} == {503}
        # One after the other on four threads they would take 128 / 4 * 0.15 = 4.8 s.
        assert max(latency_s for _, latency_s in answers) < 1.0
        redis_server.signal(signal.SIGCONT)
        wait_until(lambda: client.get(PATH).status_code == 200, "the service answers again", timeout_s=5)
    failures = [json.loads(line) for line in granian.log.splitlines() if "request_failed" in line]
    assert len(failures) >= 128
    assert {"component": "lookup", "route": "by_key", "status": 503}.items() <= failures[0].items()


def test_sigterm_lets_requests_finish(redis_server: RedisServer, tmp_path: Path, change: Change) -> None:
    change(APPLE)
    own = {"ICACHE_LOOKUP_CACHE_BYTES": "0", "ICACHE_LOOKUP_REDIS_TIMEOUT_MS": "5000"}
    environment = {"ICACHE_REDIS_URL": redis_server.url, **own}
    server = Granian(tmp_path, environment)
    server.start()
    assert httpx.get(server.url + PATH).status_code == 200
    redis_server.signal(signal.SIGSTOP)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(httpx.get, server.url + PATH, timeout=30)
        wait_until(lambda: connections(server) > 0, "the request is there")
        time.sleep(0.3)  # and was read: it waits for Redis, where the heartbeats wait, too
        assert server.process is not None
        server.process.send_signal(signal.SIGTERM)
        wait_until(lambda: not server.answers(), "the server takes no more requests")
        redis_server.signal(signal.SIGCONT)
        assert waiting.result().status_code == 200
    assert server.process.wait(timeout=30) == 0


def connections(server: Granian) -> int:
    """That clients have to the server."""
    rows = [row.split() for row in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(row[1].endswith(f":{server.port:04X}") and row[3] == "01" for row in rows)


@pytest.mark.parametrize("victim", ["server", "worker"])
def test_a_killed_process_leaves_no_other_behind(granian: Granian, victim: str) -> None:
    assert granian.process is not None
    workers = workers_of(granian)
    assert len(workers) == 1
    os.kill(granian.process.pid if victim == "server" else workers[0], signal.SIGKILL)
    granian.process.wait(timeout=30)
    wait_until(lambda: not is_alive(workers[0]), "the worker ends")
    granian.process = None
    assert not granian.answers()
