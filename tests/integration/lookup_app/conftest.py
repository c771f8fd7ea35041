"""A real Redis with instruments in it, and the service on it: in this process, or under granian."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from instrument_cache.batch import BatchApplier
from instrument_cache.connections import redis_client
from instrument_cache.contract import load_contract
from instrument_cache.store.redis import RedisStore
from lookup_app.app import BACKING, create_app
from lookup_app.config import LookupSettings
from tests.integration.lookup_app.servers import PROJECT, Granian, RedisServer

CONTRACT_PATH = PROJECT / "contracts" / "instruments.yaml"


@pytest.fixture
def redis_server(tmp_path: Path) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path)
    server.start()
    yield server
    server.kill()


@pytest.fixture
def store(redis_server: RedisServer) -> RedisStore:
    return RedisStore(redis_client(redis_server.url, name="test"), load_contract(CONTRACT_PATH).dataset)


@pytest.fixture
def change(store: RedisStore) -> Callable[..., int]:
    """change(record, op=…): one change of the stream, applied to Redis; returns its version, which is the present."""

    offsets = count()

    def apply(record: dict[str, object], op: str = "put") -> int:
        version = time.time_ns() // 1000
        source = {"name": "test", "position": "1", "received_at": version}
        value = json.dumps({"op": op, "version": version, "source": source, "record": record}).encode()
        assert BatchApplier(load_contract(CONTRACT_PATH), store).apply([value], [0], [next(offsets)]) == {}
        return version

    return apply


@pytest.fixture
def make_app() -> Iterator[Callable[..., Flask]]:
    """`create_app`, of which nothing is left at work after the test."""
    apps: list[Flask] = []

    def make(*arguments: Any, **options: Any) -> Flask:
        apps.append(create_app(*arguments, **options))
        return apps[-1]

    yield make
    for app in apps:
        app.extensions[BACKING].stop()


@pytest.fixture
def client(redis_server: RedisServer, make_app: Callable[..., Flask]) -> FlaskClient:
    return make_app(LookupSettings(redis_server.url, (CONTRACT_PATH,))).test_client()


@pytest.fixture
def granian(redis_server: RedisServer, tmp_path: Path) -> Iterator[Granian]:
    server = Granian(tmp_path, {"ICACHE_REDIS_URL": redis_server.url, "ICACHE_LOOKUP_DRAIN_S": "0"})
    server.start()
    yield server
    server.stop()
