"""Misses that are asked of the real simulator, and kept in a real Redis."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from flask import Flask
from flask.testing import FlaskClient

from instrument_cache.connections import redis_client
from instrument_cache.contract import load_contract
from instrument_cache.store.redis import RedisStore
from lookup_app.config import LookupSettings
from lookup_app.fallback.breaker import Breaker
from lookup_app.fallback.guarded import GuardedPut
from lookup_app.fallback.read_through import ReadThrough
from lookup_app.fallback.settings import FallbackSettings
from lookup_app.fallback.source import RowSource, SourceRow
from tests.integration.lookup_app.conftest import CONTRACT_PATH
from tests.integration.lookup_app.servers import PROJECT, RedisServer, free_port, wait_until

TOKEN = "a-token-of-the-test"
APPLE = {"cusip": "037833100", "pme": "P-1", "name": "Apple"}
PATH = "/v1/instruments/037833100"
Change = Callable[..., int]


@dataclass
class Simulator:
    """The source as a process. Its requests are counted by those who ask."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        (self.folder / "token").write_text(TOKEN)
        command = [sys.executable, "-m", "local_stack.sow_simulator", "--port", str(self.port)]
        command += ["--data-dir", str(self.folder / "sow"), "--token-file", str(self.folder / "token")]
        with (self.folder / "simulator.log").open("ab") as log:
            self.process = subprocess.Popen(command, cwd=PROJECT, stdout=log, stderr=log)
        wait_until(self._answers, "the simulator answers")

    def _answers(self) -> bool:
        try:
            return httpx.get(f"http://127.0.0.1:{self.port}/healthz").is_success
        except httpx.TransportError:
            return False

    def send(self, what: str, **body: object) -> None:
        url = f"http://127.0.0.1:{self.port}/v1/topics/instruments/{what}"
        httpx.post(url, headers={"Authorization": f"Bearer {TOKEN}"}, **body).raise_for_status()  # type: ignore[arg-type]

    def publish(self, *records: dict[str, object]) -> None:
        self.send("publish", content="\n".join(map(json.dumps, records)))

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


@pytest.fixture
def simulator(tmp_path: Path) -> Iterator[Simulator]:
    source = Simulator(tmp_path, free_port())
    source.start()
    yield source
    source.kill()


@pytest.fixture
def fallback(simulator: Simulator) -> FallbackSettings:
    url = f"http://127.0.0.1:{simulator.port}/v1/topics/{{dataset}}/rows/{{key}}"
    return FallbackSettings(url, TOKEN, timeout_s=0.5, negative_s=1)


@pytest.fixture
def client(redis_server: RedisServer, fallback: FallbackSettings, make_app: Callable[..., Flask]) -> FlaskClient:
    settings = LookupSettings(redis_server.url, (CONTRACT_PATH,), redis_timeout_s=1, fallback=fallback)
    client = make_app(settings).test_client()
    wait_until(lambda: client.get("/readyz").status_code == 200, "the service is ready")
    return client


def problem_of(client: FlaskClient, path: str = PATH) -> str:
    slug: str = client.get(path).get_json()["type"]
    return slug.removeprefix("/problems/")


def test_a_miss_is_asked_of_the_source_and_kept(
    client: FlaskClient, simulator: Simulator, redis_server: RedisServer
) -> None:
    assert problem_of(client) == "unknown-instrument"
    simulator.publish({**APPLE, "sector": "not kept"})
    wait_until(lambda: client.get(PATH).status_code == 200, "the source is asked again", timeout_s=5)
    answer = client.get(PATH)
    assert answer.data == redis_server.admin.get("instr:037833100")
    assert client.get("/v1/instruments?pme=P-1").data == answer.data
    simulator.kill()
    assert client.get(PATH).data == answer.data


def test_what_is_deleted_is_not_asked_for(client: FlaskClient, simulator: Simulator, change: Change) -> None:
    simulator.publish({**APPLE, "last_updated": 1_763_674_000_123_456})
    change(APPLE, op="delete")
    assert problem_of(client) == "deleted-instrument"


def test_a_row_that_breaks_a_rule_is_no_record(client: FlaskClient, simulator: Simulator) -> None:
    simulator.publish({**APPLE, "pme": "*"})
    assert problem_of(client) == "unknown-instrument"


def test_without_the_source_misses_are_503_and_hits_go_on(
    client: FlaskClient, simulator: Simulator, change: Change
) -> None:
    change({"cusip": "594918104"})
    simulator.kill()
    for _ in range(5):
        started_s = time.monotonic()
        assert problem_of(client) == "source-unavailable"
        assert time.monotonic() - started_s < 1
        assert client.get("/v1/instruments/594918104").status_code == 200
    assert client.get(PATH).headers["Retry-After"] == "1"
    simulator.start()
    wait_until(lambda: problem_of(client) == "unknown-instrument", "the source is asked again", timeout_s=5)


def test_a_source_that_hangs_costs_no_more_than_its_limit(client: FlaskClient, simulator: Simulator) -> None:
    assert simulator.process is not None
    simulator.process.send_signal(signal.SIGSTOP)
    started_s = time.monotonic()
    assert problem_of(client) == "source-unavailable"
    assert time.monotonic() - started_s < 1.5
    simulator.process.send_signal(signal.SIGCONT)


def test_without_redis_nothing_is_asked(client: FlaskClient, simulator: Simulator, redis_server: RedisServer) -> None:
    simulator.publish(APPLE)
    redis_server.kill()
    assert problem_of(client) == "store-unavailable"


def test_a_thousand_misses_at_once_make_one_call(
    simulator: Simulator, redis_server: RedisServer, fallback: FallbackSettings
) -> None:
    simulator.publish(APPLE)
    contract = load_contract(CONTRACT_PATH)
    rows, calls = RowSource(fallback, "instruments", contract.record_bytes_max), []

    class Counting:
        def row(self, key: str) -> SourceRow | None:
            calls.append(key)
            time.sleep(1.0)  # until all the others have come
            return rows.row(key)

    store = RedisStore(redis_client(redis_server.url, name="test"), "instruments")
    reads = ReadThrough(Counting(), GuardedPut(contract, store).put, Breaker(2), 30, 1)
    with ThreadPoolExecutor(1000) as pool:
        found = set(pool.map(lambda _: reads.read("037833100"), range(1000)))
    assert calls == ["037833100"]
    assert found == {redis_server.admin.get("instr:037833100")}
