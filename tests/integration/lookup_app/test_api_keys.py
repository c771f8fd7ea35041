"""API keys in a real Redis: made and revoked by the command, believed and refused by the service."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from flask import Flask
from flask.testing import FlaskClient

from instrument_cache.api_keys import KeyStore, parse
from instrument_cache.connections import redis_client
from instrument_cache.errors import InstrumentCacheError, StoreUnavailable
from lookup_app.config import LookupSettings
from lookup_app.protection.assembly import create_protection
from lookup_app.protection.settings import ApiKeySettings, ProtectionSettings, RateSettings
from tests.integration.lookup_app.conftest import CONTRACT_PATH, PROJECT
from tests.integration.lookup_app.servers import RedisServer, wait_until

PATH = "/v1/instruments/037833100"
SETTINGS = ProtectionSettings(api_keys=ApiKeySettings(ttl_s=0.5), rate=RateSettings(1000, 1000))


@pytest.fixture
def service(
    redis_server: RedisServer, change: Callable[..., int], make_app: Callable[..., Flask]
) -> Iterator[FlaskClient]:
    change({"cusip": "037833100", "pme": "P-1"})
    protection = create_protection(SETTINGS, ["instruments"], redis_server.url)
    yield make_app(LookupSettings(redis_server.url, (CONTRACT_PATH,)), protection=protection).test_client()
    protection.gate.close()


@pytest.fixture
def icache(redis_server: RedisServer) -> Callable[..., str]:
    """icache("create", …): what the command prints."""
    environment = {**os.environ, "ICACHE_REDIS_URL": redis_server.url}

    def run(*arguments: str) -> str:
        command = [sys.executable, "-m", "local_stack.cli", "apikey", *arguments]
        done = subprocess.run(command, env=environment, cwd=PROJECT, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    return run


def status(service: FlaskClient, key: str) -> int:
    return service.get(PATH, headers={"X-API-Key": key}).status_code


def test_made_used_listed_and_revoked(
    service: FlaskClient, icache: Callable[..., str], redis_server: RedisServer
) -> None:
    assert service.get(PATH).status_code == 401
    key, other = icache("create", "desk-1"), icache("create", "desk-2", "--dataset", "issuers", "--days", "30")
    answer = service.get(PATH, headers={"X-API-Key": key})
    assert (answer.status_code, answer.headers["RateLimit"]) == (200, '"default";r=999;t=1')
    assert (status(service, other), status(service, key[:-1] + "x")) == (403, 401)
    parsed = parse(key)
    assert parsed is not None
    listed = {row["id"]: row for row in json.loads(icache("list", "--json"))["keys"]}
    assert (listed[parsed.id]["client"], listed[parsed.id]["state"]) == ("desk-1", "valid")
    assert "desk-2" in icache("list")
    assert parsed.secret not in str(redis_server.admin.get(f"apikey:{parsed.id}")), "the secret is nowhere"
    assert "Revoked" in icache("revoke", parsed.id)
    wait_until(lambda: status(service, key) == 401, "the key is refused", timeout_s=5)
    assert json.loads(icache("list", "--json"))["keys"] != []


def test_a_revoked_key_is_refused_within_the_set_time(service: FlaskClient, redis_server: RedisServer) -> None:
    store = KeyStore(redis_client(redis_server.url, name="test"))
    key = store.create("desk-1", ["instruments"])
    parsed = parse(key)
    assert parsed is not None
    assert status(service, key) == 200
    store.revoke(parsed.id)
    revoked_at_s = time.monotonic()
    while status(service, key) == 200:
        assert time.monotonic() - revoked_at_s < 5, "far beyond the set time"
        time.sleep(0.005)
    assert store.revoke(parsed.id).revoked_at is not None, "twice is no error"


def test_without_redis_known_keys_go_on(service: FlaskClient, redis_server: RedisServer) -> None:
    store = KeyStore(redis_client(redis_server.url, name="test"))
    known, unknown = store.create("desk-1", ["*"]), store.create("desk-2", ["*"])
    assert status(service, known) == 200
    redis_server.signal(signal.SIGSTOP)
    try:
        time.sleep(1.2)  # beyond the time after which the key is looked at again
        answer = service.get("/v1/datasets", headers={"X-API-Key": known})
        assert answer.status_code == 200
        refused = service.get("/v1/datasets", headers={"X-API-Key": unknown})
        assert (refused.status_code, json.loads(refused.data)["type"]) == (503, "/problems/keys-unavailable")
        assert refused.headers["Retry-After"] == "1"
    finally:
        redis_server.signal(signal.SIGCONT)
    wait_until(lambda: status(service, unknown) == 200, "the other key is believed", timeout_s=5)


class Endless(io.RawIOBase):
    """A body that nobody may wait for."""

    def seek(self, *_: int) -> int:
        return 0

    def readinto(self, _: object) -> int:
        raise AssertionError("the body was read")


def test_a_body_is_not_waited_for_from_who_may_not_ask(service: FlaskClient) -> None:
    answer = service.post(
        "/v1/instruments:batch", input_stream=Endless(), content_length=1000, content_type="application/json"
    )
    assert answer.status_code == 401


def test_nothing_works_on_behind_a_closed_gate(redis_server: RedisServer) -> None:
    protection = create_protection(SETTINGS, ["instruments"], redis_server.url)
    (worker,) = [thread for thread in threading.enumerate() if thread.name == "api-keys"]
    protection.gate.close()
    worker.join(5)
    assert not worker.is_alive()


def test_errors_of_the_store(redis_server: RedisServer) -> None:
    store = KeyStore.connect(redis_server.url, timeout_s=0.2)
    redis_server.admin.set("apikey:000000000000", "not JSON")
    assert store.get(["000000000000", "111111111111"]) == [None, None]
    assert list(store.all()) == []
    with pytest.raises(InstrumentCacheError, match="no API key '111111111111'"):
        store.revoke("111111111111")
    redis_server.kill()
    for call in (lambda: store.get(["0"]), lambda: store.create("a", ["*"]), lambda: list(store.all())):
        with pytest.raises(StoreUnavailable):
            call()
