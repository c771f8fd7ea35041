"""A real Redis in each state that the doctor names."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis

from instrument_cache.doctor import Finding
from instrument_cache.doctor.redis_part import look_at_redis
from instrument_cache.settings import Environment
from tests.servers import free_port


@pytest.fixture
def client(clean_redis: redis.Redis) -> Iterator[redis.Redis]:
    yield clean_redis
    clean_redis.config_set("maxmemory", "0")
    clean_redis.replicaof("NO", "ONE")


def look(url: str, **settings: str) -> list[Finding]:
    return list(
        look_at_redis(Environment({"ICACHE_REDIS_URL": url, "ICACHE_FLINK_URL": "http://127.0.0.1:9", **settings}))
    )


def red(url: str) -> str:
    return " ".join(found.sentence for found in look(url) if found.severity == "red")


def test_a_redis_that_is_well_says_how_often_its_scripts_were_flushed(client: redis.Redis, redis_url: str) -> None:
    client.config_resetstat()
    (found,) = look(redis_url)
    assert found.severity == "ok"
    assert "flushed" not in found.sentence
    for _ in range(3):
        client.script_flush()
    assert "its scripts were flushed 3 times" in look(redis_url)[0].sentence


def test_a_redis_that_refuses_writes(client: redis.Redis, redis_url: str) -> None:
    client.config_set("maxmemory", "1")
    assert "every write is refused" in red(redis_url)
    client.config_set("maxmemory", "0")
    client.replicaof("127.0.0.1", str(free_port()))
    assert "Redis is read-only: it is a replica of 127.0.0.1" in red(redis_url)


def test_a_redis_that_is_away_or_has_another_password(redis_url: str) -> None:
    assert "does not answer" in red(f"redis://127.0.0.1:{free_port()}")
    (found,) = look(redis_url.replace("secret", "wrong"))
    assert found.mend == "correct ICACHE_REDIS_URL"
