"""A source and a Redis that hold the same instruments, as after a long and faultless stream."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from typing import Final

from instrument_cache.connections import redis_client
from instrument_cache.contract import Contract
from instrument_cache.reconcile.expected import ExpectedMaker
from instrument_cache.settings import Environment
from instrument_cache.source.interface import Put, Source
from instrument_cache.source.registry import open_source
from instrument_cache.store.redis import RedisStore
from local_stack.instance import Instance
from local_stack.synthetic import synthetic_rows

_PAGE: Final = 10_000
PUBLISHED_US: Final = int(datetime.now(UTC).timestamp() * 1e6)


def source_of(instance: Instance) -> Source:
    """The instance's source."""
    settings = instance.settings()
    return open_source(settings["ICACHE_SOURCE_URL"], Environment(settings))


def fill_source(instance: Instance, rows: int) -> None:
    """Publish synthetic instruments, each with a PME id: two keys of the cache."""
    source = source_of(instance)
    left = synthetic_rows(rows)
    while page := list(islice(left, _PAGE)):
        source.publish(page)


def fill_cache_alone(instance: Instance, contract: Contract, rows: int) -> None:
    """Put synthetic instruments into Redis without a source, for operations that ask none."""
    puts = (Put("", row, PUBLISHED_US, number) for number, row in enumerate(synthetic_rows(rows)))
    _offer(instance, contract, puts)


def fill_cache(instance: Instance, contract: Contract) -> None:
    """Put what the source holds into Redis, through the guard."""
    _offer(instance, contract, (event for event in source_of(instance).snapshot() if isinstance(event, Put)))


def _offer(instance: Instance, contract: Contract, puts: Iterator[Put]) -> None:
    maker = ExpectedMaker(contract)
    store = RedisStore(redis_client(instance.redis_url, name="benchmark"), contract.dataset)
    while page := list(islice(puts, _PAGE)):
        store.offer({key: value for made in maker.of_many(page) if made for key, value in made.values.items()})
