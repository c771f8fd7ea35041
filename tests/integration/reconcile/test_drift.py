"""Drift of every kind under live traffic, on real Redis and a real source: all of it is found, and nothing else.

ICACHE_TEST_SEEDS is the number of seeded runs, ICACHE_TEST_ROWS the number of instruments.
"""

from __future__ import annotations

import os
import random
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import msgspec
import pytest
import redis

from instrument_cache.clock import SystemClock
from instrument_cache.contract import Contract
from instrument_cache.epoch import Epoch
from instrument_cache.objects_memory import MemoryObjects
from instrument_cache.reconcile.compare import Before, Comparison
from instrument_cache.reconcile.model import Kind, Progress
from instrument_cache.reconcile.plan import Order, PlanStore
from instrument_cache.reconcile.repair import Repair
from instrument_cache.reconcile.second_look import SecondLook
from instrument_cache.reconcile.service import Reconcile
from instrument_cache.reconcile.wants import Wants
from instrument_cache.source.interface import Source
from local_stack.instance import DATASET, Instance
from tests.drift import Planter
from tests.integration.reconcile.conftest import fill_cache
from tests.integration.reconcile.live import POSITION, PUBLISHED, Live, row
from tests.servers import process, wait_until

SEEDS = int(os.environ.get("ICACHE_TEST_SEEDS", "2"))
ROWS = int(os.environ.get("ICACHE_TEST_ROWS", "10000"))
RATE = 2000
ROUNDS = 10


class RedisVandal:
    """Damages a real Redis."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client

    def get_many(self, keys: Sequence[str]) -> list[bytes | None]:
        return list(self._client.mget(list(keys)))  # type: ignore[arg-type]

    def plant(self, key: str, value: bytes) -> None:
        self._client.set(key, value)

    def lose(self, key: str) -> None:
        self._client.delete(key)

    def make_list(self, key: str) -> None:
        self._client.delete(key)
        self._client.lpush(key, "x")


class PositionSettling:
    """Waits until the stream of `live` has applied what the source held."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client

    def wait(self, position: int, progress: Progress) -> str:
        wait_until(lambda: int(self._client.get(POSITION) or 0) >= position, 60, "the stream's position")
        return ""


@contextmanager
def traffic(instance: Instance, seed: int, numbers: list[int]) -> Iterator[None]:
    """Changes to these instruments at RATE per second until the block ends."""
    url = f"{instance.url('simulator')}/v1/topics/{DATASET}"
    live = Live(url, instance.secret("source_token"), instance.redis_url, seed, RATE, numbers)
    command = [sys.executable, "-m", "tests.integration.reconcile.live", msgspec.json.encode(live).decode()]
    with process(command, dict(os.environ), instance.folder("log") / "live.log"):
        client = redis.Redis.from_url(instance.redis_url)
        wait_until(lambda: int(client.get(PUBLISHED) or 0) > RATE // 2, 60, "traffic")
        yield


@pytest.mark.parametrize("seed", range(SEEDS))
def test_all_drift_is_found_under_traffic_and_nothing_else(
    instance: Instance, service: Reconcile, source: Source, client: redis.Redis, contract: Contract, seed: int
) -> None:
    chance = random.Random(seed)
    source.publish([row(number, chance) for number in range(ROWS)])
    fill_cache(service, source, contract)
    numbers = list(range(ROWS))
    chance.shuffle(numbers)
    quiet, busy = numbers[: ROWS // 2], numbers[ROWS // 2 :]
    plans = PlanStore(MemoryObjects(), DATASET, f"seed-{seed}")
    settling = PositionSettling(client)
    with traffic(instance, seed, busy):
        planter = Planter(RedisVandal(client), contract, iter(quiet), chance, SystemClock().now_us())
        for _ in range(ROUNDS):
            planter.plant()
        began_s, published = time.monotonic(), int(client.get(PUBLISHED) or 0)
        comparison = Comparison(contract, source, service.store, settling)
        plan = comparison.run(plans, f"seed-{seed}", Order(shards=8), Before(), Epoch())
        rate = (int(client.get(PUBLISHED) or 0) - published) / (time.monotonic() - began_s)
        found = {each.key: str(each.kind) for part in range(plan.parts) for each in plans.part(plan, part)}
        look = SecondLook(service.store, Wants(contract, source, SystemClock()), lambda: None)
        repair = Repair(contract, service.store, look, SystemClock(), lambda: None)
        for part in range(plan.parts):
            plans.save_result(repair.part(part, plans.part(plan, part), plan.samples))
        again = comparison.run(
            PlanStore(MemoryObjects(), DATASET, "again"), "again", Order(shards=8), Before(), Epoch()
        )
    print(
        f"seed {seed}: {rate:,.0f} changes/s, {plan.counts.looked_at_twice} keys looked at twice, "
        f"{len(planter.planted)} planted, {plan.kinds}"
    )
    assert {key: found.get(key) for key in planter.planted} == planter.planted
    others = {key: kind for key, kind in found.items() if key not in planter.planted}
    assert {key: kind for key, kind in others.items() if kind != Kind.DANGLING_ALIAS} == {}
    assert {kind: number for kind, number in again.kinds.items() if number and kind != Kind.DANGLING_ALIAS} == {}
