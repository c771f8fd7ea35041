"""Real Kafka, Redis and S3 for all tests of this folder; each test has a dataset and a bucket of its own."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from feed.topics import ensure_topics
from instrument_cache.connections import redis_client, s3_client
from instrument_cache.dead_letters.service import DeadLetters
from instrument_cache.settings import Environment, redis_url, s3_settings
from local_stack.instance import PROJECT, Instance
from tests.integration.dead_letters.letters import LetterBox
from tests.servers import stack_parts


@pytest.fixture(scope="package")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    with stack_parts(tmp_path_factory.mktemp("parts"), "redis", "kafka", "s3", "s3-second") as made:
        yield made


@pytest.fixture
def env(instance: Instance, tmp_path: Path) -> Environment:
    """The instance's settings for a new dataset, whose contract is that of the instruments."""
    dataset = f"set{uuid.uuid4().hex[:8]}"
    contract = (PROJECT / "contracts" / "instruments.yaml").read_text().replace("id: instruments", f"id: {dataset}")
    (tmp_path / f"{dataset}.yaml").write_text(contract)
    own = {"ICACHE_DATASET": dataset, "ICACHE_CONTRACTS": str(tmp_path), "ICACHE_S3_BUCKET": dataset}
    own["ICACHE_S3_SECOND_ENDPOINT"] = ""
    return Environment({**instance.settings(), **own})


@pytest.fixture
def dead_letters(env: Environment) -> DeadLetters:
    redis_client(redis_url(env), name="test").flushall()
    found = DeadLetters(env)
    ensure_topics(found.bootstrap, found.dataset, partitions=2, replication=1)
    s3_client(s3_settings(env)).create_bucket(Bucket=found.dataset)
    return found


@pytest.fixture
def box(dead_letters: DeadLetters) -> LetterBox:
    return LetterBox(dead_letters)
