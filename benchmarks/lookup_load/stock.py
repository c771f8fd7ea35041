"""Instruments for the lookup benchmark: synthetic rows, put into Redis through the store's guard."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Final

from benchmarks.workload import Workload
from instrument_cache.clock import SystemClock
from instrument_cache.connections import redis_client
from instrument_cache.contract import Contract
from instrument_cache.store.redis import RedisStore

_AGE_US: Final = 3600 * 10**6
_PAGE: Final = 10_000


def fill(url: str, contract: Contract, count: int) -> list[str]:
    """Put `count` instruments into the Redis at `url`, and return their keys."""
    workload = Workload(contract, start_us=SystemClock().now_us() - _AGE_US, pme_percent=0, mix={"new": 1})
    for _ in workload.records(count):  # the workload works out what the store must hold
        pass
    store = RedisStore(redis_client(url, name="benchmark"), contract.dataset)
    held = iter(workload.expected.held.items())
    while page := dict(islice(held, _PAGE)):
        store.offer(page)
    return [key.partition(":")[2] for key in workload.expected.held]


def export(url: str, contract: Contract, keys: list[str], path: Path) -> None:
    """Write the instruments as NDJSON, as the store holds them: for a server that needs a store of its own form."""
    store = RedisStore(redis_client(url, name="benchmark"), contract.dataset)
    with path.open("wb") as file:
        for at in range(0, len(keys), _PAGE):
            for stored in store.get_many([contract.redis_key(key) for key in keys[at : at + _PAGE]]):
                file.write((stored or b"{}") + b"\n")
