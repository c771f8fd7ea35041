"""Whatever happens to Redis: what is cached is served, the rest is a quick 503, and all is well again when Redis is."""

from __future__ import annotations

import json
import signal
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import redis
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from lookup_app.app import BACKING
from lookup_app.config import LookupSettings
from tests.integration.lookup_app.conftest import CONTRACT_PATH
from tests.integration.lookup_app.sentinels import Sentinels
from tests.integration.lookup_app.servers import RedisServer, SlowLink, wait_until

APPLE = {"cusip": "037833100", "pme": "P-1"}
MICROSOFT = {"cusip": "594918104", "pme": "P-2"}
CACHED = ["/v1/instruments/037833100", "/v1/instruments?pme=P-1"]
UNCACHED = ["/v1/instruments/594918104", "/v1/instruments?pme=P-2"]
PROMISED_S = 0.200
CACHED_PROMISED_S = 0.002
# For single requests: the tests' machine may be busy with other things at that moment.
TOLERATED_S = 1.0
RECOVERY_S = 5.0
# So many cached reads, over longer than answers may be fresh.
READS, READS_S = 300, 3.0
Change = Callable[..., int]


def timed(client: FlaskClient, path: str) -> tuple[float, TestResponse]:
    started_s = time.perf_counter()
    answer = client.get(path)
    return time.perf_counter() - started_s, answer


def unavailable(answer: TestResponse) -> None:
    assert (answer.status_code, answer.content_type) == (503, "application/problem+json")
    assert answer.headers["Retry-After"] == "1"
    assert json.loads(answer.data)["type"] in {"/problems/store-unavailable", "/problems/not-ready"}


def uncached_fails_quickly(client: FlaskClient, paths: list[str], pause_s: float = 0.0) -> None:
    taken_s = []
    for path in paths * 3:
        time.sleep(pause_s)
        latency_s, answer = timed(client, path)
        unavailable(answer)
        taken_s.append(latency_s)
    unavailable(client.post("/v1/instruments:batch", json={"ids": ["594918104"]}))
    assert statistics.median(taken_s) < PROMISED_S, taken_s
    assert max(taken_s) < TOLERATED_S, taken_s
    assert client.get("/healthz").status_code == 200


def cold_service_fails_quickly(client: FlaskClient, pause_s: float = 0.0) -> None:
    """One that has nothing: it is not ready either."""
    uncached_fails_quickly(client, [*CACHED, *UNCACHED, "/readyz"], pause_s)
    assert "instrument_cache_store_up 0.0" in client.get("/metrics").text


def cached_goes_on(client: FlaskClient) -> list[TestResponse]:
    """300 of 300, and none of them waits."""
    answers, taken_s = [], []
    for number in range(READS):
        latency_s, answer = timed(client, CACHED[number % len(CACHED)])
        answers.append(answer)
        taken_s.append(latency_s)
        time.sleep(READS_S / READS)
    assert {answer.status_code for answer in answers} == {200}
    assert statistics.median(taken_s) < CACHED_PROMISED_S, sorted(taken_s)[-20:]
    assert max(taken_s) < TOLERATED_S
    batch = client.post("/v1/instruments:batch", json={"ids": ["037833100"]})
    assert batch.json is not None
    assert batch.json["results"][0]["status"] == 200
    return answers


def is_stale(answer: TestResponse) -> bool:
    return (
        answer.headers.get("Warning") == '110 instrument-cache "Response is Stale"' and int(answer.headers["Age"]) >= 1
    )


def holds_out(client: FlaskClient) -> None:
    """Redis is away: first fresh within the bound, then stale and marked; the rest fails quickly all the time."""
    uncached_fails_quickly(client, UNCACHED)
    answers = cached_goes_on(client)
    assert is_stale(answers[-1])
    ages_s = [int(answer.headers["Age"]) for answer in answers if "Warning" in answer.headers]
    assert ages_s == sorted(ages_s)
    ready = client.get("/readyz")
    assert (ready.status_code, ready.json and ready.json["stale"]) == (200, True)
    uncached_fails_quickly(client, UNCACHED, pause_s=0.3)


def recovers(client: FlaskClient, status: int = 200) -> None:
    """Fresh answers, also to what was never read, and kept again."""

    def is_well() -> bool:
        answers = [client.get(path) for path in (CACHED[0], UNCACHED[0])]
        return [answer.status_code for answer in answers] == [status, 404] and "Warning" not in answers[0].headers

    wait_until(is_well, "the service answers again", timeout_s=RECOVERY_S)
    wait_until(lambda: client.get("/readyz").json == {"status": "ready"}, "the service is ready", timeout_s=RECOVERY_S)


Serve = Callable[..., FlaskClient]


@pytest.fixture
def serve(make_app: Callable[..., Flask]) -> Serve:
    """serve(url): a client of a new service there."""

    def make(url: str, **settings: float) -> FlaskClient:
        return make_app(LookupSettings(url, (CONTRACT_PATH,), **settings)).test_client()  # type: ignore[arg-type]

    return make


def warmed(client: FlaskClient) -> FlaskClient:
    """Until what is to be cached is."""
    backing = client.application.extensions[BACKING]
    for path in CACHED:
        assert client.get(path).status_code == 200
    wait_until(lambda: backing.cache.fresh_until_s > 0, "the near cache is coherent")
    for path in CACHED * 2:
        assert client.get(path).status_code == 200
    assert {"instr:037833100", "pme:P-1"} <= set(backing.cache.entries)
    wait_until(lambda: client.get("/readyz").status_code == 200, "the service is ready")
    return client


@pytest.fixture
def cold(redis_server: RedisServer, serve: Serve) -> FlaskClient:
    return serve(redis_server.url)


@pytest.fixture
def warm(cold: FlaskClient, change: Change) -> FlaskClient:
    change(APPLE)
    return warmed(cold)


def test_killed_and_restarted(warm: FlaskClient, redis_server: RedisServer, change: Change) -> None:
    redis_server.kill()
    holds_out(warm)
    redis_server.start()
    recovers(warm, status=404)
    change(APPLE)
    assert warm.get(CACHED[1]).status_code == 200


def test_hung(warm: FlaskClient, redis_server: RedisServer) -> None:
    redis_server.signal(signal.SIGSTOP)
    holds_out(warm)
    redis_server.signal(signal.SIGCONT)
    recovers(warm)


def test_another_password(warm: FlaskClient, redis_server: RedisServer) -> None:
    admin = redis_server.admin
    right = str(admin.config_get("requirepass")["requirepass"])
    admin.config_set("requirepass", "another")
    admin.client_kill_filter(_type="normal", skipme=True)
    holds_out(warm)
    admin.config_set("requirepass", right)
    recovers(warm)


def test_made_a_replica(warm: FlaskClient, redis_server: RedisServer) -> None:
    redis_server.admin.replicaof("127.0.0.1", "1")
    breaker = warm.application.extensions[BACKING].breaker
    wait_until(lambda: breaker.refuses, "it is seen that Redis is no master", timeout_s=2)
    holds_out(warm)
    redis_server.admin.replicaof("NO", "ONE")
    recovers(warm)


def test_slow(redis_server: RedisServer, serve: Serve, change: Change) -> None:
    change(APPLE)
    with SlowLink(redis_server, delay_s=0) as link:
        client = warmed(serve(redis_server.url.replace(str(redis_server.port), str(link.port))))
        link.delay_s = PROMISED_S
        uncached_fails_quickly(client, UNCACHED, pause_s=0.3)
        # Redis goes on telling what changes: the answers stay fresh.
        assert not any("Warning" in answer.headers for answer in cached_goes_on(client))
        link.delay_s = 0
        recovers(client)
        link.shutdown()


def test_refusing_writes_and_full(warm: FlaskClient, redis_server: RedisServer, tmp_path: Path) -> None:
    admin = redis_server.admin
    admin.config_set("save", "1 1")
    redis_server.folder.joinpath("dump.rdb").mkdir()
    admin.set("x", 1)
    admin.bgsave()
    wait_until(lambda: _refuses_writes(admin), "Redis answers MISCONF")
    admin.config_set("maxmemory", "1")
    assert not any("Warning" in answer.headers for answer in cached_goes_on(warm))
    recovers(warm)


def _refuses_writes(admin: redis.Redis) -> bool:
    try:
        admin.set("x", 1)
    except redis.ResponseError as error:
        return "MISCONF" in str(error)
    return False


def test_loading(warm: FlaskClient, redis_server: RedisServer) -> None:
    redis_server.admin.mset({f"filler:{number}": "x" * 4096 for number in range(2000)})
    redis_server.admin.save()
    redis_server.kill()
    redis_server.launch("--key-load-delay", "20000", "--loading-process-events-interval-bytes", "4096")
    wait_until(lambda: is_loading(redis_server), "redis-server is loading")
    holds_out(warm)
    assert is_loading(redis_server), "it was loading all the time"
    redis_server.admin.config_set("key-load-delay", "0")
    recovers(warm)


def is_loading(server: RedisServer) -> bool:
    try:
        return bool(server.admin.info("persistence")["loading"])
    except redis.ConnectionError:
        return False


def test_fail_over(tmp_path: Path, serve: Serve) -> None:
    with Sentinels(tmp_path) as sentinels:
        master = sentinels.master
        master.admin.set("instr:037833100", b'{"v":1763674000123456,"cusip":"037833100","pme":"P-1"}')
        master.admin.set("pme:P-1", b'{"v":1763674000123456,"cusip":"037833100"}')
        sentinels.wait_for_replica()
        client = warmed(serve(sentinels.url))
        master.kill()
        uncached_fails_quickly(client, UNCACHED)
        cached_goes_on(client)
        wait_until(lambda: sentinels.replica.admin.info("replication")["role"] == "master", "the replica is promoted")
        recovers(client)
        sentinels.replica.admin.set("instr:594918104", b'{"v":1763674000123456,"cusip":"594918104"}')
        wait_until(lambda: client.get(UNCACHED[0]).status_code == 200, "the new master's change is seen", timeout_s=1.0)


def test_killed_before_the_first_request(cold: FlaskClient, redis_server: RedisServer) -> None:
    redis_server.kill()
    cold_service_fails_quickly(cold)
    redis_server.start()
    recovers(cold, status=404)


def test_hung_before_the_first_request(cold: FlaskClient, redis_server: RedisServer, change: Change) -> None:
    change(APPLE)
    redis_server.signal(signal.SIGSTOP)
    cold_service_fails_quickly(cold, pause_s=0.3)
    redis_server.signal(signal.SIGCONT)
    recovers(cold)


def test_a_restart_between_requests_is_not_noticed(warm: FlaskClient, redis_server: RedisServer) -> None:
    redis_server.kill()
    redis_server.start()
    wait_until(lambda: "Warning" not in warm.get(CACHED[0]).headers, "fresh again")
    recovers(warm, status=404)


def test_connections_cut_between_requests_are_not_noticed(warm: FlaskClient, redis_server: RedisServer) -> None:
    redis_server.admin.client_kill_filter(_type="normal", skipme=True)
    answers = [warm.get(path) for path in (*CACHED, UNCACHED[0])]
    assert [answer.status_code for answer in answers] == [200, 200, 404]
    assert not any("Warning" in answer.headers for answer in answers)


@pytest.mark.parametrize("credentials", [":wrong@", "", "nobody:x@"])
def test_wrong_password(redis_server: RedisServer, serve: Serve, credentials: str) -> None:
    cold_service_fails_quickly(serve(f"redis://{credentials}127.0.0.1:{redis_server.port}/0"))


def test_not_permitted(redis_server: RedisServer, serve: Serve) -> None:
    redis_server.admin.acl_setuser("blind", enabled=True, passwords=["+x"], keys=["*"], categories=["+@all", "-@read"])
    cold_service_fails_quickly(serve(f"redis://blind:x@127.0.0.1:{redis_server.port}/0"))


@pytest.mark.parametrize("command", ["client|tracking", "role"])
def test_not_permitted_to_track_is_slower_and_no_failure(
    redis_server: RedisServer, serve: Serve, change: Change, command: str
) -> None:
    change(APPLE)
    redis_server.admin.execute_command("ACL", "SETUSER", "some", "on", ">x", "~*", "+@all", f"-{command}")
    client = serve(f"redis://some:x@127.0.0.1:{redis_server.port}/0", redis_timeout_s=1.0)
    for path, status in zip((*CACHED, UNCACHED[0]) * 20, (200, 200, 404) * 20, strict=True):
        answer = client.get(path)
        assert (answer.status_code, answer.headers.get("Warning")) == (status, None)
    assert client.application.extensions[BACKING].cache.entries == {}


def test_slow_at_every_step(redis_server: RedisServer, serve: Serve, change: Change) -> None:
    change(APPLE)
    with SlowLink(redis_server, delay_s=0.08) as link:
        url = redis_server.url.replace(str(redis_server.port), str(link.port))
        uncached_fails_quickly(serve(url), [*CACHED, *UNCACHED], pause_s=0.3)
        assert serve(url, redis_timeout_s=2.0).get(CACHED[0]).status_code == 200
        link.shutdown()
