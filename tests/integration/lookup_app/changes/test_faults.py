"""Kafka or Redis away: listeners stay, nothing is told that is not proved, and then it goes on without a gap."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import NewTopic

from feed.change_log.kafka import KafkaChangeLog
from instrument_cache.kafka import make_admin
from local_stack.components.kafka import KAFKA
from local_stack.instance import Instance
from local_stack.synthetic import synthetic_cusip
from tests.integration.lookup_app.changes.conftest import make_world
from tests.integration.lookup_app.changes.scene import PARTITIONS, Applier, Listener, Process, World
from tests.servers import free_port, free_port_offset, process, redis_server, wait_until


@contextmanager
def broker(instance: Instance) -> Iterator[int]:
    """A broker whose process id is known. Its data outlive it."""
    KAFKA.prepare(instance)
    environment = {**instance.base_environment(), **KAFKA.environment(instance)}
    with process(KAFKA.command(instance), environment, instance.folder("log") / "kafka.log") as pid:
        wait_until(lambda: KAFKA.is_ready(instance), 90, "Kafka")
        yield pid


@pytest.fixture
def instance(tmp_path: Path) -> Instance:
    made = Instance(tmp_path / "home", Instance.from_environment().tools, free_port_offset())
    made.make_secrets()
    return made


def missing(process: Process) -> list[str]:
    answer = httpx.get(process.url + "/readyz").json()
    return list(answer.get("missing", []))


def test_kafka_killed(instance: Instance, redis_url: str, tmp_path: Path) -> None:
    with broker(instance) as pid:
        world = make_world(instance.kafka, redis_url, tmp_path)
        stream = world.process(ICACHE_LOOKUP_CHANGES_HEARTBEAT_S="1")
        listener = Listener(world.url(stream))
        wait_until(lambda: listener.kinds() == ["hello"])
        world.put(1)
        wait_until(lambda: synthetic_cusip(1) in listener.state)
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: missing(stream) == ["kafka"], what="readyz is red")
    assert not listener.ended.is_set()
    refused = Listener(world.url(stream), listener.last_id)
    with broker(instance):
        version = world.put(1, 2)
        for each in (listener, refused):
            wait_until(lambda at=each: at.state.get(synthetic_cusip(2), {}).get("version") == version, 60, "it goes on")
        wait_until(lambda: missing(stream) == [])
        assert world.has_all(listener)
        stream.kill()
        world.applier.stop()


def test_redis_stopped(kafka: str, tmp_path: Path) -> None:
    port = free_port()
    (tmp_path / "redis").mkdir()
    with redis_server(tmp_path / "redis", port, "password") as url:
        world = make_world(kafka, url, tmp_path)
        stream = world.process()
        listener = Listener(world.url(stream))
        wait_until(lambda: listener.kinds() == ["hello"])
    version = world.put(3)
    wait_until(lambda: missing(stream) == ["redis"], what="readyz is red")
    assert listener.kinds() == ["hello"]
    assert not listener.ended.is_set()
    with redis_server(tmp_path / "redis", port, "password"):
        wait_until(lambda: listener.state.get(synthetic_cusip(3), {}).get("version") == version, what="it goes on")
        wait_until(lambda: missing(stream) == [])
        stream.kill()
        world.applier.stop()


def test_an_id_older_than_the_log_is_a_reset(kafka: str, redis_url: str, world: World) -> None:
    admin = make_admin(kafka)
    for topic in (admin.delete_topics([world.dataset]), admin.create_topics([_plain_topic(world.dataset)])):
        topic[world.dataset].result(20)
    stream = world.process()
    writer = KafkaChangeLog(kafka, world.dataset)
    listener = Listener(world.url(stream))
    wait_until(lambda: listener.kinds() == ["hello"])
    start = listener.cut().last_id
    world.writer = writer
    for number in range(20):
        world.put(number)
    ends = [TopicPartition(world.dataset, at, -1) for at in range(PARTITIONS)]
    for done in admin.delete_records(ends).values():
        done.result(20)
    late = Listener(world.url(stream), start)
    wait_until(lambda: late.kinds() == ["reset"])


def _plain_topic(name: str) -> NewTopic:
    """Not compacted, so that its beginning can be cut away."""
    return NewTopic(name, PARTITIONS, 1)


def test_a_topic_made_anew_while_they_listen(kafka: str, redis_url: str, world: World) -> None:
    stream = world.process()
    listener = Listener(world.url(stream))
    wait_until(lambda: listener.kinds() == ["hello"])
    world.put(*range(40))
    wait_until(lambda: world.has_all(listener))
    admin = make_admin(kafka)
    world.applier.stop()
    admin.delete_topics([world.dataset])[world.dataset].result(20)
    redis = world.applier.store
    wait_until(lambda: _made(admin, world.dataset))
    wait_until(lambda: listener.kinds()[-1] == "reset", what="the reset")
    assert redis.accounts()
    world.writer = KafkaChangeLog(kafka, world.dataset)
    contract = world.contracts / f"{world.dataset}.yaml"
    world.applier = Applier(kafka, redis_url, contract)
    version = world.put(*range(40, 200))
    wait_until(lambda: any(data["version"] == version for data in listener.state.values()), what="it goes on")


def _made(admin: object, name: str) -> bool:
    admin.create_topics([_plain_topic(name)])[name].result(20)  # type: ignore[attr-defined]
    return True
