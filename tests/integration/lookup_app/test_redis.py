"""The service answers with the very bytes of Redis, and reads no more than it must."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient
from prometheus_client.parser import text_string_to_metric_families

from instrument_cache.store.interface import Entry, Position
from instrument_cache.store.redis import RedisStore
from tests.integration.lookup_app.servers import RedisServer

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


def test_reads_per_request(client: FlaskClient, redis_server: RedisServer, change: Change) -> None:
    change(APPLE)
    redis_server.admin.config_resetstat()
    client.get("/v1/instruments/037833100")
    assert reads(redis_server) == 1
    client.get("/v1/instruments?pme=P-1")
    assert reads(redis_server) == 3
    client.post("/v1/instruments:batch", json={"ids": ["037833100", "594918104", "bad"] * 333})
    assert reads(redis_server) == 4


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
    assert client.get("/readyz").status_code == 200
    connected: list[dict[str, Any]] = redis_server.admin.client_list()
    assert "lookup" in [connection["name"] for connection in connected]


def test_metrics_show_what_the_stream_did(client: FlaskClient, change: Change, store: RedisStore) -> None:
    change(APPLE)
    change(APPLE, op="delete")
    store.exchange().finish([Entry(1, 1, Position(), Position(0, 3), {"rejected": 3})], {})
    families = text_string_to_metric_families(client.get("/metrics").text)
    samples = {(s.name, s.labels.get("outcome")): s.value for family in families for s in family.samples}
    assert samples["instrument_cache_changes_total", "applied"] == 2
    assert samples["instrument_cache_changes_total", "rejected"] == 3
    assert samples["instrument_cache_store_up", None] == 1
