"""The service answers with the very bytes of Redis, and reads no more than it must."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
import redis
from flask.testing import FlaskClient
from prometheus_client.parser import text_string_to_metric_families

from instrument_cache.contract import load_contract
from instrument_cache.store.redis import RedisStore
from lookup_app.app import BACKING
from tests.integration.lookup_app.cache.writer import key_of
from tests.integration.lookup_app.conftest import CONTRACT_PATH
from tests.integration.lookup_app.servers import RedisServer, wait_until

APPLE = {"cusip": "037833100", "pme": "P-1", "name": 'Apple "Inc" ü 😀 \u2028', "last_updated": 1}
MICROSOFT = {"cusip": "594918104", "pme": "P-2"}
Change = Callable[..., int]


def reads(server: RedisServer) -> int:
    """How many commands read keys since the statistics were reset."""
    statistics: dict[str, dict[str, int]] = server.admin.info("commandstats")
    return sum(statistics.get(f"cmdstat_{name}", {"calls": 0})["calls"] for name in ("get", "mget"))


def test_bodies_are_the_stored_bytes(client: FlaskClient, redis_server: RedisServer, change: Change) -> None:
    version = change(APPLE)
    stored: Any = redis_server.admin.get("instr:037833100")
    single, alias = client.get("/v1/instruments/037833100"), client.get("/v1/instruments?pme=P-1")
    batch = client.post("/v1/instruments:batch", json={"ids": ["037833100"]})
    assert single.data == alias.data == stored
    assert batch.data == b'{"results":[{"id":"037833100","status":200,"instrument":%b}]}' % stored
    assert single.headers["Instrument-Version"] == str(version)
    assert json.loads(single.data)["name"] == APPLE["name"]


def test_the_etag_follows_the_bytes(client: FlaskClient, change: Change) -> None:
    change(APPLE)
    old = client.get("/v1/instruments/037833100").headers["ETag"]
    assert client.get("/v1/instruments/037833100", headers={"If-None-Match": old}).status_code == 304
    change({**APPLE, "name": "another"})
    answer = client.get("/v1/instruments/037833100", headers={"If-None-Match": old})
    assert (answer.status_code, answer.headers["ETag"] == old) == (200, False)


def test_deleted_and_renamed(client: FlaskClient, change: Change) -> None:
    change(APPLE)
    change(MICROSOFT)
    change(APPLE, op="delete")
    change({**MICROSOFT, "pme": "P-3"})
    assert json.loads(client.get("/v1/instruments/037833100").data)["deleted_at"].startswith("20")
    statuses = [client.get(f"/v1/instruments?pme={pme}").status_code for pme in ("P-1", "P-2", "P-3")]
    assert statuses == [404, 404, 200]


@pytest.fixture
def tracked(client: FlaskClient) -> FlaskClient:
    """The service when it tracks Redis: from then on it reads what callers ask for, and nothing else."""
    client.get("/v1/instruments/023135106")
    cache = client.application.extensions[BACKING].cache
    wait_until(lambda: cache.fresh_until_s > 0, "the near cache is coherent")
    return client


def test_reads_per_request(tracked: FlaskClient, redis_server: RedisServer, change: Change) -> None:
    change(APPLE)
    redis_server.admin.config_resetstat()
    for _ in range(3):
        tracked.get("/v1/instruments/037833100")
    assert reads(redis_server) == 1
    for _ in range(3):
        tracked.get("/v1/instruments?pme=P-1")
    assert reads(redis_server) == 2
    for _ in range(3):
        tracked.post("/v1/instruments:batch", json={"ids": ["037833100", "594918104", "bad"] * 333})
    assert reads(redis_server) == 3


def test_a_change_is_read_at_once(tracked: FlaskClient, change: Change) -> None:
    for number in range(50):
        version = str(change({**APPLE, "name": str(number)}))
        wait_until(lambda version=version: answered(tracked) == version, "the change is there", timeout_s=1)
        assert answered(tracked) == version


def answered(client: FlaskClient) -> str:
    """The version that is answered now."""
    return client.get("/v1/instruments/037833100").headers["Instrument-Version"]


def test_a_large_batch_comes_in_pieces(tracked: FlaskClient, store: RedisStore) -> None:
    ids = [key_of(number) for number in range(1000)]
    body = b"x" * 4000
    store.offer({f"instr:{key}": b'{"v":1763674000123456,"name":"%b"}' % body for key in ids[::2]})
    for _ in range(3):
        results = tracked.post("/v1/instruments:batch", json={"ids": ids}).json["results"]  # type: ignore[index]
        assert [result["status"] for result in results] == [200, 404] * 500
        assert all(result["instrument"]["name"] == body.decode() for result in results[::2])


def test_what_expires_in_redis_expires_here(client: FlaskClient, redis_server: RedisServer, store: RedisStore) -> None:
    redis_server.kill()
    redis_server.launch("--enable-debug-command", "yes")
    wait_until(lambda: reads_nothing(redis_server), "redis-server answers")
    # Redis itself must not remove it meanwhile, and tell.
    redis_server.admin.execute_command("DEBUG", "SET-ACTIVE-EXPIRE", "0")
    soon_us = time.time_ns() // 1000 + 1_000_000
    deleted_at_us = soon_us - load_contract(CONTRACT_PATH).tombstone_ttl_s * 1_000_000
    tombstone = b'{"v":%d,"~deleted_at":%d}' % (deleted_at_us, deleted_at_us)
    store.offer({"instr:037833100": tombstone}, {"instr:037833100": soon_us // 1000})
    cache = client.application.extensions[BACKING].cache

    def is_kept() -> bool:
        client.get("/v1/instruments/037833100")
        return "instr:037833100" in cache.entries

    wait_until(is_kept, "the deletion is kept")
    assert kind(client) == "/problems/deleted-instrument"
    wait_until(lambda: kind(client) == "/problems/unknown-instrument", "the deletion is forgotten", timeout_s=3)


def reads_nothing(server: RedisServer) -> bool:
    try:
        return reads(server) == 0
    except redis.ConnectionError:
        return False


def kind(client: FlaskClient) -> str:
    return str(json.loads(client.get("/v1/instruments/037833100").data)["type"])


@pytest.mark.parametrize("path", ["%00", "a%0d%0aGET%20x", "*", "1" * 1_000_000, "%EF%BC%9037833100", "037833101"])
def test_what_is_no_identifier_is_not_asked_of_redis(client: FlaskClient, redis_server: RedisServer, path: str) -> None:
    redis_server.admin.config_resetstat()
    assert client.get(f"/v1/instruments/{path}").status_code == 400
    assert client.get(f"/v1/instruments?pme=-{path}").status_code == 400
    assert reads(redis_server) == 0


def test_a_key_of_another_type_is_no_crash(client: FlaskClient, redis_server: RedisServer) -> None:
    redis_server.admin.hset("instr:037833100", "a", "b")
    assert client.get("/v1/instruments/037833100").status_code == 404


def test_the_connection_has_a_name(client: FlaskClient, redis_server: RedisServer) -> None:
    wait_until(lambda: client.get("/readyz").status_code == 200, "the service is ready")
    connected: list[dict[str, Any]] = redis_server.admin.client_list()
    assert "lookup" in [connection["name"] for connection in connected]


def test_metrics_show_reads_and_the_cache(tracked: FlaskClient, change: Change) -> None:
    change(APPLE)
    for _ in range(3):
        tracked.get("/v1/instruments/037833100")
    families = text_string_to_metric_families(tracked.get("/metrics").text)
    samples = {(s.name, s.labels.get("outcome")): s.value for family in families for s in family.samples}
    assert samples["instrument_cache_lookup_reads_total", "hit"] == 2
    assert samples["instrument_cache_lookup_cache_entries", None] >= 1
    assert samples["instrument_cache_store_up", None] == 1
