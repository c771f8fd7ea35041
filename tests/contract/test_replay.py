"""The whole log replayed three times, in any order, ends in the identical store: keys, bytes and times of expiry."""

from __future__ import annotations

import random
import time
from dataclasses import replace

import pytest
import redis

from instrument_cache.batch import BatchApplier
from instrument_cache.connections import redis_client
from instrument_cache.contract import Contract
from instrument_cache.store.redis import RedisStore
from tests.faults.expected import LogRecord, expected_of
from tests.faults.histories import History, Message, log_of
from tests.store_hash import store_hash

RECORDS = 3000
PARTITIONS = 8
TEN_YEARS_S = 10 * 365 * 86_400


def replay(client: redis.Redis, contract: Contract, log: list[list[LogRecord]], chance: random.Random) -> None:
    """Apply a log in batches of random size, partition by partition in turns of random length."""
    applier = BatchApplier(contract, RedisStore(redis_client(_url(client), name="test"), contract.dataset))
    positions = [0] * len(log)
    while batch := _batch(log, positions, chance):
        columns = zip(*((record.value, record.partition, record.offset) for record in batch), strict=True)
        applier.apply(*(list(column) for column in columns))


def _batch(log: list[list[LogRecord]], positions: list[int], chance: random.Random) -> list[LogRecord]:
    unread = [partition for partition in range(len(log)) if positions[partition] < len(log[partition])]
    batch: list[LogRecord] = []
    for partition in chance.sample(unread, min(3, len(unread))):
        taken = log[partition][positions[partition] :][: chance.randrange(1, 200)]
        positions[partition] += len(taken)
        batch += taken
    return batch


def shuffled(messages: list[Message], chance: random.Random) -> list[list[LogRecord]]:
    """The same messages as another log: any order across keys and within them, and other partitions."""
    mixed = list(messages)
    chance.shuffle(mixed)
    return log_of(iter(mixed), chance.randrange(1, PARTITIONS + 1))


def _url(client: redis.Redis) -> str:
    options = client.connection_pool.connection_kwargs
    return f"redis://:{options['password']}@127.0.0.1:{options['port']}/0"


@pytest.mark.parametrize("ttl_s", [None, TEN_YEARS_S], ids=["kept until deleted", "with a TTL"])
@pytest.mark.parametrize("seed", [1, 2])
def test_three_replays_in_any_order_end_in_the_identical_store(
    clean_redis: redis.Redis, contract: Contract, seed: int, ttl_s: int | None
) -> None:
    contract = replace(contract, ttl_s=ttl_s)
    now_us = time.time_ns() // 1000
    messages = list(History(seed, now_us, keys=200).messages(RECORDS))
    log, chance = log_of(iter(messages), PARTITIONS), random.Random(seed)
    replay(clean_redis, contract, log, chance)
    first = store_hash(clean_redis, contract)

    replay(clean_redis, contract, shuffled(messages, chance), chance)
    assert store_hash(clean_redis, contract) == first, "a replay onto what is there changed it"
    for _ in range(3):
        clean_redis.flushall()
        for _ in range(3):
            replay(clean_redis, contract, shuffled(messages, chance), chance)
        assert store_hash(clean_redis, contract) == first

    expected = expected_of((record for records in log for record in records), contract, now_us)
    assert {key: clean_redis.get(key) for key in expected.stored} == expected.stored
    assert {key: max(clean_redis.pexpiretime(key), 0) for key in expected.stored} == expected.expires_at_ms
