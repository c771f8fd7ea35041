"""`dag.test()` of cache_reconcile, with the settings that the laptop stack gives Airflow and real servers."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
import redis

from feed.topics import ensure_topics
from instrument_cache.contract import Contract
from instrument_cache.reconcile.service import Reconcile
from instrument_cache.reports import newest
from instrument_cache.settings import Environment
from instrument_cache.source.registry import open_source
from local_stack.components.airflow import airflow_environment
from local_stack.instance import DATASET, Instance
from local_stack.synthetic import synthetic_cusip
from tests.integration.airflow_home import AirflowHome
from tests.integration.reconcile.conftest import fill_cache
from tests.integration.reconcile.live import row
from tests.servers import stack_parts, wait_until

ROWS = 500


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    with stack_parts(tmp_path_factory.mktemp("parts"), "redis", "kafka", "s3", "simulator") as made:
        ensure_topics(made.kafka, DATASET, partitions=2, replication=1)
        yield made


@pytest.fixture(scope="module")
def home(instance: Instance, migrated: AirflowHome, tmp_path_factory: pytest.TempPathFactory) -> AirflowHome:
    stack = airflow_environment(instance)
    settings = {name: stack[name] for name in stack if name.startswith("ICACHE_")}
    return migrated.copy(tmp_path_factory.mktemp("airflow"), **settings)


@pytest.mark.timeout(400)
def test_the_dag_repairs_and_asks_when_it_must(instance: Instance, home: AirflowHome, contract: Contract) -> None:
    env = Environment(instance.settings())
    source, service, client = open_source(env=env), Reconcile(env), redis.Redis.from_url(instance.redis_url)
    source.publish([row(number, random.Random(1)) for number in range(ROWS)])
    values = fill_cache(service, source, contract)
    client.delete(f"instr:{synthetic_cusip(1)}")
    client.set(f"instr:{synthetic_cusip(2)}", "garbage")

    repaired = home.run_dag("cache_reconcile")
    assert repaired.state == "success", repaired.log
    assert set(repaired.tasks.values()) == {"success"}
    assert "Repaired 2, open 0." in repaired.log
    assert dict(service.store.scan("instr")) | dict(service.store.scan("pme")) == values
    summary = newest(client, DATASET, "reconcile")
    assert summary is not None
    assert (summary.ok, summary.numbers["trusted_rows"]) == (True, ROWS)

    client.delete(*(f"instr:{synthetic_cusip(number)}" for number in range(10)))
    asking = home.start_dag("cache_reconcile", conf={"budget": 5, "grace_s": 3})
    try:
        wait_until(lambda: "Waiting for response" in asking.log, 90, what="the question")
    finally:
        asking.kill()
    assert client.exists(f"instr:{synthetic_cusip(3)}") == 0, "nothing is repaired before somebody says so"
