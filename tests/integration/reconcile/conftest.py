"""Real Redis, Kafka, S3 and simulated source for all tests of this folder; each test finds them empty."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest
import redis

from feed.topics import ensure_topics
from instrument_cache.contract import Contract
from instrument_cache.reconcile.expected import ExpectedMaker
from instrument_cache.reconcile.service import Reconcile
from instrument_cache.settings import Environment
from instrument_cache.source.interface import Put, Source
from instrument_cache.source.registry import open_source
from local_stack.instance import DATASET, Instance
from tests.servers import free_port_offset, stack_component


@pytest.fixture(scope="package")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    home, offset = tmp_path_factory.mktemp("parts"), free_port_offset()
    with ExitStack() as stack:
        for name in ("redis", "kafka", "s3", "simulator"):
            stack.enter_context(stack_component(name, home, offset))
        made = Instance(home, Instance.from_environment().tools, offset)
        ensure_topics(made.kafka, DATASET, partitions=2, replication=1)
        yield made


@pytest.fixture
def env(instance: Instance) -> Environment:
    return Environment(instance.settings())


@pytest.fixture
def client(instance: Instance) -> redis.Redis:
    found = redis.Redis.from_url(instance.redis_url)
    found.flushall()
    return found


@pytest.fixture
def source(env: Environment, client: redis.Redis) -> Iterator[Source]:
    opened = open_source(env=env)
    opened.delete([event.key for event in opened.snapshot() if isinstance(event, Put)])
    yield opened
    opened.close()


@pytest.fixture
def service(env: Environment, source: Source) -> Reconcile:
    return Reconcile(env)


def fill_cache(service: Reconcile, source: Source, contract: Contract) -> dict[str, bytes]:
    """Put what the source holds into Redis, and return it: full key → bytes."""
    puts = [event for event in source.snapshot() if isinstance(event, Put)]
    made = ExpectedMaker(contract).of_many(puts)
    values = {key: value for each in made if each for key, value in each.values.items()}
    service.store.offer(values)
    return values
