"""Every kind of secret is exchanged under the eyes of a service that is read all the while: no request fails."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jwt
import pytest
import redis

from instrument_cache.api_keys import KeyStore, parse
from instrument_cache.batch import BatchApplier
from instrument_cache.connections import redis_client
from instrument_cache.contract import load_contract
from instrument_cache.rotation.jwt_key import private_jwk, published
from instrument_cache.rotation.operation import SecretRotation
from instrument_cache.settings import Environment
from instrument_cache.store.redis import RedisStore
from tests.integration.lookup_app.servers import PROJECT, Granian
from tests.integration.rotation.load import Load
from tests.servers import free_port, redis_server, wait_until

CONTRACT = load_contract(PROJECT / "contracts" / "instruments.yaml")
ISSUER, AUDIENCE = "https://login.example", "instrument-cache"
NAMES = ["redis:default", "redis:reader", "api-key:desk-1", "jwt:login"]
SLOTS = {"redis:default": "redis_password", "redis:reader": "reader", "api-key:desk-1": "desk-1", "jwt:login": "signer"}
TOKEN_S = 2


class World:
    """A Redis with two users, a lookup service that reads as one of them, and two kinds of its clients."""

    def __init__(self, folder: Path, port: int) -> None:
        self.slots = folder / "secrets"
        self.slots.mkdir()
        for name, secret in (("redis_password", "first"), ("reader", "reads")):
            (self.slots / name).write_text(secret)
        place = f"127.0.0.1:{port}/0?password_file={self.slots}"
        self.url, self._reader_url = f"redis://{place}/redis_password", f"redis://reader@{place}/reader"
        self.admin.acl_setuser(
            "reader", enabled=True, passwords=["+reads"], keys=["*"], channels=["*"], commands=["+@all"]
        )
        (self.slots / "desk-1").write_text(KeyStore(self.admin).create("desk-1", ["instruments"]))
        self._sign_with(private_jwk("EdDSA"))
        self.env = Environment(
            {
                "ICACHE_REDIS_URL": self.url,
                "ICACHE_ROTATION_HOLDER": f"folder:{self.slots}",
                "ICACHE_ROTATION_SECRETS": ",".join(f"{name}={slot}" for name, slot in SLOTS.items()),
                "ICACHE_ROTATION_GRACE_S": "0",
                "ICACHE_ROTATION_WATCH_S": "1",
                "ICACHE_ROTATION_QUIET_S": "2",
                "ICACHE_ROTATION_JWKS_S": "3",
                "ICACHE_ROTATION_TOKEN_S": str(TOKEN_S + 1),
            }
        )

    @property
    def admin(self) -> Any:
        return redis_client(self.url, name="test")

    def _sign_with(self, key: str) -> None:
        (self.slots / "signer").write_text(key)
        (self.slots / "signer.jwks").write_text(json.dumps({"keys": [published(key)]}))

    def held(self) -> dict[str, str]:
        return {name: (self.slots / slot).read_text() for name, slot in SLOTS.items()}

    def lookup(self, folder: Path) -> Granian:
        return Granian(
            folder,
            {
                "ICACHE_REDIS_URL": self._reader_url,
                "ICACHE_LOOKUP_AUTH": "jwt,api-key",
                "ICACHE_LOOKUP_API_KEY_TTL_S": "1",
                "ICACHE_LOOKUP_JWKS": str(self.slots / "signer.jwks"),
                "ICACHE_LOOKUP_JWKS_REFRESH_S": "1",
                "ICACHE_LOOKUP_JWKS_COOLDOWN_S": "1",
                "ICACHE_LOOKUP_JWT_ISSUER": ISSUER,
                "ICACHE_LOOKUP_JWT_AUDIENCE": AUDIENCE,
                "ICACHE_LOOKUP_JWT_LEEWAY_S": "0",
                "ICACHE_LOOKUP_CACHE_ENTRIES_MAX": "0",
            },
        )

    def api_key(self) -> Mapping[str, str]:
        """As a client that reads its key's file for each request."""
        return {"X-API-Key": (self.slots / "desk-1").read_text()}

    def token(self) -> Mapping[str, str]:
        """As a client that gets a token of the issuer, who signs with what he holds now."""
        key = json.loads((self.slots / "signer").read_text())
        now_s = int(time.time())
        claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": "desk-2", "scope": "instruments:read"}
        signed = jwt.encode(
            {**claims, "exp": now_s + TOKEN_S}, jwt.PyJWK(key).key, key["alg"], headers={"kid": key["kid"]}
        )
        return {"Authorization": f"Bearer {signed}"}


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    port = free_port()
    with redis_server(tmp_path, port, "first"):
        yield World(tmp_path, port)


@pytest.fixture
def service(world: World, tmp_path: Path) -> Iterator[Granian]:
    now_us = time.time_ns() // 1000
    source = {"name": "test", "position": "1", "received_at": now_us}
    change = {"op": "put", "version": now_us, "source": source, "record": {"cusip": "037833100", "pme": "P-1"}}
    BatchApplier(CONTRACT, RedisStore(world.admin, CONTRACT.dataset)).apply([json.dumps(change).encode()], [0], [0])
    server = world.lookup(tmp_path)
    server.start()
    yield server
    server.stop()


def cut_all(client: Any) -> None:
    """Every connection to Redis has to log in anew, that of the one who asks too."""
    for user in ("reader", "default"):  # whoever asks is of the last, and cannot ask again at once
        client.client_kill_filter(_type="normal", user=user, skipme=False)


@pytest.mark.timeout(180)
def test_no_request_fails_while_everything_rotates_and_rolls_back(world: World, service: Granian) -> None:
    url = f"{service.url}/v1/instruments/037833100"
    rotation, first = SecretRotation(world.env), world.held()
    with Load(url, {"api-key": world.api_key, "token": world.token}, per_s=100) as load:
        load.go_on(50)
        # Begun, told, and rolled back.
        assert set(rotation.switch(NAMES, "run-1").values()) == {""}
        cut_all(world.admin)
        load.go_on(50)
        assert set(rotation.switch(NAMES, "run-2", back=True).values()) == {""}
        finish(rotation, "run-2")
        assert world.held() == first
        cut_all(world.admin)
        load.go_on(50)
        # And to its end.
        assert set(rotation.switch(NAMES, "run-3").values()) == {""}
        cut_all(world.admin)
        load.go_on(50)
        finish(rotation, "run-3")
        cut_all(world.admin)
        load.go_on(200)
    assert load.failed == {}
    assert {name for name, secret in world.held().items() if secret == first[name]} == set()
    assert all(state.ok for state in rotation.states(NAMES))
    refused(world, first)
    assert not [path.name for path in world.slots.iterdir() if path.name.endswith(".rotation")]


def finish(rotation: SecretRotation, run_id: str) -> None:
    def done() -> bool:
        return not rotation.finish(NAMES, run_id)

    wait_until(done, 60, what="nobody needs the old secrets")


def refused(world: World, first: Mapping[str, str]) -> None:
    """What was there at first opens nothing any more."""
    port = world.admin.connection_pool.connection_kwargs["port"]
    for user, name in (("default", "redis:default"), ("reader", "redis:reader")):
        with pytest.raises(redis.AuthenticationError):
            redis.Redis(port=port, username=user, password=first[name]).ping()
    old = parse(first["api-key:desk-1"])
    assert old is not None
    (record,) = KeyStore(world.admin).get([old.id])
    assert record is not None
    assert record.refusal(time.time()) == "it was revoked"
    kid = json.loads(first["jwt:login"])["kid"]
    assert kid not in (world.slots / "signer.jwks").read_text()


def test_an_api_key_stays_while_its_client_sends_it(world: World, service: Granian) -> None:
    name, old = "api-key:desk-1", world.api_key()
    rotation = SecretRotation(world.env)
    with Load(f"{service.url}/v1/instruments/037833100", {"late": lambda: old}, per_s=20) as load:
        load.go_on(5)
        rotation.switch([name], "run")
        wait_until(lambda: "was sent" in rotation.finish([name], "run")[name], what="the old key is in use")
        load.go_on(20)
        assert load.failed == {}
        (looked,) = rotation.outcome([name], {name: ""})
        assert not looked.ok
