"""Fixtures for every kind of test: the contract of the product and real servers on free ports."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
import redis

from instrument_cache.contract import Contract, load_contract
from tests.servers import free_port, free_port_offset, redis_server, stack_component

PROJECT = Path(__file__).resolve().parent.parent

# How long an example takes says how busy the machine is, and nothing of the code.
hypothesis.settings.register_profile("any machine", deadline=None)
hypothesis.settings.load_profile("any machine")


@pytest.fixture(scope="session")
def contract() -> Contract:
    return load_contract(PROJECT / "contracts" / "instruments.yaml")


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real Redis with a password, for the whole session."""
    with redis_server(tmp_path_factory.mktemp("redis"), free_port(), "secret") as url:
        yield url


@pytest.fixture
def clean_redis(redis_url: str) -> redis.Redis:
    """A client of the session's Redis, emptied."""
    client = redis.Redis.from_url(redis_url)
    client.flushall()
    return client


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The bootstrap address of a real broker, for the whole session."""
    home = tmp_path_factory.mktemp("kafka")
    offset = free_port_offset()
    with stack_component("kafka", home, offset):
        yield f"127.0.0.1:{19092 + offset}"
