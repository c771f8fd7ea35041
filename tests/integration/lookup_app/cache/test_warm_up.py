"""A worker that starts loads what was asked for most, and says that it is ready only then."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from instrument_cache.connections import redis_client
from instrument_cache.contract import load_contract
from instrument_cache.store.redis import RedisStore
from lookup_app.cache.backing import Backing
from lookup_app.cache.hot_keys import HotKeys
from lookup_app.cache.settings import CacheSettings
from lookup_app.datasets import Readiness
from tests.integration.lookup_app.cache.writer import key_of
from tests.integration.lookup_app.conftest import CONTRACT_PATH
from tests.integration.lookup_app.servers import RedisServer, wait_until

KEYS = [f"instr:{key_of(number)}" for number in range(1000)]
SETTINGS = CacheSettings()
Start = Callable[..., Backing]


@pytest.fixture
def start(redis_server: RedisServer) -> Iterator[Start]:
    """start(bytes_max=…): the Redis and the near cache of a worker that has just begun."""
    running: list[Backing] = []

    def begin(**settings: float) -> Backing:
        chosen = replace(SETTINGS, **settings)  # type: ignore[arg-type]
        running.append(Backing(redis_server.url, 0.15, chosen, [load_contract(CONTRACT_PATH)]))
        running[-1].start()
        return running[-1]

    yield begin
    for backing in running:
        backing.stop()


@pytest.fixture
def hot_keys(redis_server: RedisServer, store: RedisStore) -> HotKeys:
    store.offer({key: b'{"v":1763674000123456,"name":"%b"}' % (b"x" * 500) for key in KEYS})
    return HotKeys(redis_client(redis_server.url, name="test"), "instruments", 100)


def ready(backing: Backing) -> Backing:
    wait_until(lambda: backing.readiness() == Readiness(), "the worker is ready")
    return backing


def test_the_hottest_are_loaded_before_it_is_ready(start: Start, hot_keys: HotKeys) -> None:
    hot_keys.missed(KEYS[:50])
    hot_keys.flush()
    assert set(ready(start()).cache.entries) == set(KEYS[:50])


def test_nothing_is_known_at_first(start: Start) -> None:
    assert len(ready(start()).cache.entries) == 0


def test_the_sketch_is_bounded_and_keeps_the_hottest(hot_keys: HotKeys, redis_server: RedisServer) -> None:
    for key in KEYS[:10]:
        hot_keys.hit(key)
    for at in range(0, 1000, 50):
        hot_keys.missed(KEYS[at : at + 50])
        hot_keys.flush()
    assert redis_server.admin.zcard("lookup:hot:instruments") == 100
    assert set(hot_keys.hottest()[:10]) == set(KEYS[:10])


def test_what_was_hot_long_ago_makes_way(hot_keys: HotKeys, redis_server: RedisServer) -> None:
    hot_keys.missed([KEYS[0]] * 8)
    hot_keys.flush()
    assert redis_server.admin.zscore("lookup:hot:instruments", KEYS[0]) == 4
    hot_keys.missed([KEYS[0]])
    hot_keys.flush()
    assert redis_server.admin.zscore("lookup:hot:instruments", KEYS[0]) == 5


def test_the_next_worker_loads_what_this_one_read(start: Start, hot_keys: HotKeys) -> None:
    first = ready(start())
    first.readers["instruments"].read(KEYS[:30])
    first.hot_keys["instruments"].flush()
    assert set(KEYS[:30]) <= set(ready(start()).cache.entries)


def test_no_more_is_loaded_than_fits(start: Start, hot_keys: HotKeys) -> None:
    hot_keys.missed(KEYS[:100])
    hot_keys.flush()
    cache = ready(start(bytes_max=20_000)).cache
    assert 0 < cache.bytes_used <= 20_000


def test_a_warm_up_that_cannot_be_done_ends_in_time(start: Start, hot_keys: HotKeys, redis_server: RedisServer) -> None:
    hot_keys.missed(KEYS)
    hot_keys.flush()
    redis_server.signal(signal.SIGSTOP)
    backing = start(warm_up_s_max=1.0)
    began_s = time.monotonic()
    assert set(backing.readiness().missing) == {"redis", "warm-up"}
    wait_until(lambda: backing.readiness().missing == ("redis",), "it gives up", timeout_s=6)
    assert time.monotonic() - began_s >= 0.9
    redis_server.signal(signal.SIGCONT)
    ready(backing)


@pytest.mark.parametrize("off", [{"hot_keys": 0}, {"bytes_max": 0}])
def test_it_can_be_switched_off(start: Start, hot_keys: HotKeys, off: dict[str, float]) -> None:
    hot_keys.missed(KEYS)
    hot_keys.flush()
    assert len(ready(start(**off)).cache.entries) == 0


def test_a_sketch_that_cannot_be_kept_is_no_failure(start: Start, hot_keys: HotKeys, redis_server: RedisServer) -> None:
    redis_server.admin.config_set("maxmemory", "1")
    backing = ready(start())
    assert backing.readers["instruments"].read(KEYS[:2]).stale_s is None
