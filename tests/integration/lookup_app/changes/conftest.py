"""Kafka and Redis, for all tests here; each test has a dataset, and so a topic, of its own."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from feed.change_log.kafka import KafkaChangeLog
from feed.topics import ensure_topics
from local_stack.instance import PROJECT, Instance
from tests.integration.lookup_app.changes.scene import PARTITIONS, Applier, World
from tests.servers import free_port, free_port_offset, redis_server, stack_component

_NUMBERS = count(1)


@pytest.fixture(scope="package")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with stack_component("kafka", tmp_path_factory.mktemp("kafka"), free_port_offset()) as instance:
        assert isinstance(instance, Instance)
        yield instance.kafka


@pytest.fixture(scope="package")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with redis_server(tmp_path_factory.mktemp("redis"), free_port(), "password") as url:
        yield url


def make_world(kafka: str, redis_url: str, folder: Path) -> World:
    dataset = f"d{next(_NUMBERS)}"
    contracts = folder / "contracts"
    contracts.mkdir()
    text = (PROJECT / "contracts" / "instruments.yaml").read_text()
    text = text.replace("id: instruments", f"id: {dataset}").replace("value: instr\n", f"value: k{dataset}\n")
    (contracts / f"{dataset}.yaml").write_text(text)
    ensure_topics(kafka, dataset, PARTITIONS, replication=1)
    applier = Applier(kafka, redis_url, contracts / f"{dataset}.yaml")
    return World(kafka, redis_url, dataset, contracts, folder, applier, KafkaChangeLog(kafka, dataset))


@pytest.fixture
def world(kafka: str, redis_url: str, tmp_path: Path) -> Iterator[World]:
    made = make_world(kafka, redis_url, tmp_path)
    yield made
    for process in made.processes:
        process.kill()
    made.applier.stop()
