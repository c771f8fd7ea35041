"""`python -m lookup_app`: it ends without a failed request, slow clients hold up nobody, and workers add up."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from tests.integration.lookup_app.servers import PROJECT, RedisServer, free_port, wait_until
from tests.integration.lookup_app.test_granian import is_alive, workers_of

PATH = "/v1/instruments/037833100"
DRAIN_S = 2


@dataclass
class Lookup:
    """One instance of the service as it is run."""

    folder: Path
    environment: dict[str, str]
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def is_ready(self) -> bool:
        try:
            return httpx.get(f"{self.url}/readyz", timeout=2).status_code == 200
        except httpx.TransportError:
            return False

    def start(self) -> None:
        command = [sys.executable, "-m", "lookup_app", "--port", str(self.port)]
        environment = {**os.environ, "PYTHONPATH": str(PROJECT), **self.environment}
        with (self.folder / f"lookup-{self.port}.log").open("ab") as log:
            self.process = subprocess.Popen(command, cwd=PROJECT, env=environment, stdout=log, stderr=log)
        wait_until(self.is_ready, "the service is ready")

    def terminate(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.terminate()
            self.process.wait(timeout=30)


@contextmanager
def lookup(folder: Path, redis: RedisServer, **settings: str) -> Iterator[Lookup]:
    names = {f"ICACHE_LOOKUP_{name}": value for name, value in settings.items()}
    server = Lookup(folder, {"ICACHE_REDIS_URL": redis.url, "ICACHE_LOOKUP_DRAIN_S": "0", **names})
    try:
        server.start()
        yield server
    finally:
        server.stop()


class Balancer:
    """Sends requests to instances that are ready, as a load balancer does: it asks each `/readyz` again and again."""

    def __init__(self, *servers: Lookup) -> None:
        self._servers, self.ready = servers, [server for server in servers if server.is_ready()]
        self._stopped = threading.Event()
        self.failed: list[object] = []
        self.answered: dict[int, int] = {server.port: 0 for server in servers}
        self._threads = [threading.Thread(target=self._probe)]
        self._threads += [threading.Thread(target=self._load, args=(keep,)) for keep in (True, True, False)]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join()

    def _probe(self) -> None:
        while not self._stopped.wait(0.1):
            self.ready = [server for server in self._servers if server.is_ready()]

    def _load(self, keep_alive: bool) -> None:
        """One request after the other, over connections that are kept or over a new one each."""
        client = httpx.Client(timeout=10)
        number = 0
        while not self._stopped.wait(0.004):
            number += 1
            servers = self.ready
            self._request(client, servers[number % len(servers)])
            if not keep_alive:
                client.close()
                client = httpx.Client(timeout=10)
        client.close()

    def _request(self, client: httpx.Client, server: Lookup) -> None:
        try:
            status = client.get(server.url + PATH).status_code
        except httpx.TransportError as error:
            self.failed.append(error)
            return
        if status != 200:
            self.failed.append(status)
        self.answered[server.port] += 1


def _replace(gone: Lookup, stays: Lookup, balancer: Balancer) -> None:
    """Stop one instance while the other goes on, and start it again."""
    gone.terminate()
    began_s = time.monotonic()
    assert gone.process is not None
    assert gone.process.wait(timeout=30) == 0
    assert time.monotonic() - began_s >= DRAIN_S * 0.9, "it went on answering for the set time"
    before = balancer.answered[stays.port]
    wait_until(lambda: balancer.answered[stays.port] > before + 50, "the other is used")
    gone.start()
    wait_until(lambda: gone in balancer.ready, "it is used again")


def test_an_instance_is_replaced_without_a_failed_request(
    redis_server: RedisServer, tmp_path: Path, change: Callable[..., int]
) -> None:
    change({"cusip": "037833100", "pme": "P-1"})
    with ExitStack() as stack:
        first, second = (stack.enter_context(lookup(tmp_path, redis_server, DRAIN_S=str(DRAIN_S))) for _ in range(2))
        balancer = Balancer(first, second)
        stack.callback(balancer.stop)
        wait_until(lambda: min(balancer.answered.values()) > 50, "both are used")
        for gone, stays in ((first, second), (second, first)):
            _replace(gone, stays, balancer)
        balancer.stop()
        assert balancer.failed == []


def test_ready_says_no_while_requests_are_still_answered(
    redis_server: RedisServer, tmp_path: Path, change: Callable[..., int]
) -> None:
    change({"cusip": "037833100", "pme": "P-1"})
    with lookup(tmp_path, redis_server, DRAIN_S=str(DRAIN_S)) as server, httpx.Client(base_url=server.url) as client:
        assert client.get(PATH).status_code == 200
        # As a supervisor does that signals the whole group.
        for pid in workers_of(server):  # type: ignore[arg-type]
            os.kill(pid, signal.SIGTERM)
        server.terminate()
        wait_until(lambda: client.get("/readyz").status_code == 503, "it is not ready any more", timeout_s=DRAIN_S)
        answer = client.get(PATH)
        assert (answer.status_code, answer.headers["connection"]) == (200, "close")
        assert server.process is not None
        assert server.process.wait(timeout=30) == 0


def opened(server: Lookup, text: bytes) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", server.port), timeout=20)
    connection.sendall(text)
    return connection


def is_cut(connection: socket.socket, drip: bytes = b"") -> bool:
    """Whether the server has closed the connection. What it still had to say is read."""
    try:
        if drip:
            connection.sendall(drip)
        connection.settimeout(0.01)
        return connection.recv(65536) == b""
    except TimeoutError:
        return False
    except OSError:
        return True


@pytest.fixture(params=["false", "true"], ids=["plain", "fast lane"])
def impatient(
    request: pytest.FixtureRequest, redis_server: RedisServer, tmp_path: Path, change: Callable[..., int]
) -> Iterator[Lookup]:
    change({"cusip": "037833100", "pme": "P-1"})
    limits = {"HEADER_TIMEOUT_S": "1", "BODY_TIMEOUT_S": "1", "THREADS": "3"}
    with lookup(tmp_path, redis_server, FAST_LANE=request.param, **limits) as server:
        yield server


def answers_quickly(server: Lookup) -> None:
    for _ in range(20):
        started_s = time.monotonic()
        assert httpx.get(server.url + PATH, timeout=10).status_code == 200
        assert time.monotonic() - started_s < 1.0


def test_slow_headers_hold_up_nobody_and_are_cut(impatient: Lookup) -> None:
    slow = [opened(impatient, b"GET / HTTP/1.1\r\nX-Slow: ") for _ in range(300)]
    slow += [opened(impatient, b"") for _ in range(100)]
    answers_quickly(impatient)
    left = {*range(len(slow))}
    began_s = time.monotonic()
    while left and time.monotonic() - began_s < 10:
        left -= {number for number in left if is_cut(slow[number], b"x" if number < 300 else b"")}
    assert not left
    for connection in slow:
        connection.close()
    answers_quickly(impatient)


def test_slow_bodies_hold_up_no_single_read_and_are_cut(impatient: Lookup) -> None:
    head = b"POST /v1/instruments:batch HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    head += b"Content-Length: 1000\r\n\r\n{"
    slow = [opened(impatient, head) for _ in range(30)]
    began_s = time.monotonic()
    while time.monotonic() - began_s < 2:  # before and while they are cut
        answers_quickly(impatient)
    wait_until(lambda: all(is_cut(connection, b"x") for connection in slow), "all are cut", timeout_s=10)
    wait_until(
        lambda: httpx.post(f"{impatient.url}/v1/instruments:batch", json={"ids": ["037833100"]}).status_code == 200,
        "batches are answered again",
        timeout_s=10,
    )


def test_a_header_that_is_too_large(impatient: Lookup) -> None:
    try:
        answer = httpx.get(impatient.url + PATH, headers={"X-Large": "x" * 1_000_000})
        assert answer.status_code == 431
    except httpx.TransportError:
        # Behind the lane the connection may be closed while the client still sends.
        assert impatient.environment["ICACHE_LOOKUP_FAST_LANE"] == "true"
    answers_quickly(impatient)


def test_a_worker_that_dies_is_replaced_and_workers_add_up(
    redis_server: RedisServer, tmp_path: Path, change: Callable[..., int]
) -> None:
    change({"cusip": "037833100", "pme": "P-1"})
    with lookup(tmp_path, redis_server, WORKERS="2") as server:
        for _ in range(60):
            assert httpx.get(server.url + PATH).status_code == 200
        labels = 'dataset="instruments",outcome="ok",route="by_key",status="200"'
        name = f"instrument_cache_lookup_requests_total{{{labels}}} 60.0"
        for _ in range(5):
            wait_until(lambda: name in httpx.get(f"{server.url}/metrics").text, "all are counted", timeout_s=10)
        victim, other = workers_of(server)  # type: ignore[arg-type]
        time.sleep(1.2)  # its numbers are written by now
        os.kill(victim, signal.SIGKILL)
        wait_until(lambda: len(workers_of(server)) == 2 and victim not in workers_of(server), "another takes its place")  # type: ignore[arg-type]
        assert is_alive(other)
        wait_until(server.is_ready, "it is ready")
        wait_until(lambda: name in httpx.get(f"{server.url}/metrics").text, "nothing counted is lost", timeout_s=10)


@pytest.mark.parametrize("wanted", ["true", "false"])
def test_an_idle_worker_comes_first_where_the_system_allows_it(
    redis_server: RedisServer, tmp_path: Path, wanted: str
) -> None:
    policy = os.SCHED_RR if wanted == "true" and real_time_is_allowed() else os.SCHED_OTHER
    with lookup(tmp_path, redis_server, REAL_TIME=wanted) as server:
        [worker] = workers_of(server)  # type: ignore[arg-type]
        wait_until(lambda: policies_of(worker) == {policy}, "each thread follows")


def real_time_is_allowed() -> bool:
    attempt = "import os; os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))"
    return subprocess.run([sys.executable, "-c", attempt], stderr=subprocess.DEVNULL, check=False).returncode == 0


def policies_of(pid: int) -> set[int]:
    return {os.sched_getscheduler(int(thread)) for thread in os.listdir(f"/proc/{pid}/task")}


def test_settings_that_cannot_be_used_are_said_in_one_line() -> None:
    environment = {"PYTHONPATH": str(PROJECT), "ICACHE_REDIS_URL": "redis://x", "ICACHE_LOOKUP_WORKERS": "many"}
    command = [sys.executable, "-m", "lookup_app"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert done.stderr.startswith("lookup: ICACHE_LOOKUP_WORKERS is 'many'")
