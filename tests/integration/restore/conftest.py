"""Real Redis, Kafka and two S3 servers for all tests of this folder; each test has a dataset and buckets of its own."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from instrument_cache.settings import Environment
from local_stack.instance import PROJECT, Instance
from tests.integration.restore.world import World
from tests.servers import stack_component, stack_parts
from tests.unit.restore.backups import SIGNING_KEY


@pytest.fixture(scope="package")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    with stack_parts(tmp_path_factory.mktemp("parts"), "redis", "kafka", "s3", "s3-second") as made:
        yield made


@pytest.fixture(scope="package")
def simulated(instance: Instance) -> Iterator[None]:
    """A source that is empty, beside the other servers."""
    with stack_component("simulator", instance.home, instance.port_offset):
        yield


@pytest.fixture
def env(instance: Instance, tmp_path: Path) -> Environment:
    """The instance's settings for a new dataset, whose contract is that of the instruments."""
    dataset = f"set{uuid.uuid4().hex[:8]}"
    contract = (PROJECT / "contracts" / "instruments.yaml").read_text().replace("id: instruments", f"id: {dataset}")
    folder = tmp_path / "contracts"
    folder.mkdir()
    (folder / f"{dataset}.yaml").write_text(contract)
    own = {
        "ICACHE_DATASET": dataset,
        "ICACHE_CONTRACTS": str(folder),
        "ICACHE_S3_BUCKET": dataset,
        "ICACHE_BACKUP_BUCKET": f"backup-{dataset}",
        "ICACHE_BACKUP_LOCK_HOURS": "0",
        "ICACHE_BACKUP_RDB": "false",
        "ICACHE_BACKUP_SIGNING_KEY": SIGNING_KEY,
    }
    return Environment({**instance.settings(), **own})


@pytest.fixture
def world(env: Environment) -> World:
    return World(env)
