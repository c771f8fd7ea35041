"""What every change log promises, asked of the in-memory twin and of a real Kafka broker by the same tests."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from feed.change_log.interface import ChangeLog
from feed.change_log.kafka import KafkaChangeLog
from feed.change_log.memory import MemoryChangeLog
from feed.topics import dead_letter_topic, ensure_topics
from instrument_cache.errors import LogUnavailable
from tests.servers import free_port


@pytest.fixture(params=["memory", "kafka"])
def log(request: pytest.FixtureRequest) -> Iterator[ChangeLog]:
    if request.param == "memory":
        yield MemoryChangeLog()
        return
    bootstrap = request.getfixturevalue("kafka")
    topic = f"log-{uuid.uuid4().hex[:8]}"
    ensure_topics(bootstrap, topic, partitions=4, replication=1)
    change_log = KafkaChangeLog(bootstrap, topic)
    yield change_log
    change_log.close()


def test_an_empty_log_has_nothing_to_read(log: ChangeLog) -> None:
    assert list(log.read()) == []


def test_what_was_flushed_is_read_per_key_in_the_order_of_writing(log: ChangeLog) -> None:
    written = [(b"k%d" % (number % 7), b"v%d" % number) for number in range(500)]
    for key, value in written:
        log.write(key, value)
    log.flush()
    found = list(log.read())
    for number in range(7):
        key = b"k%d" % number
        assert [value for k, value in found if k == key] == [value for k, value in written if k == key]


def test_bytes_go_through_as_they_are_up_to_megabytes(log: ChangeLog) -> None:
    written = [(b"a", b"\xff\x00{broken"), (b"b", b"x" * 2_000_000)]
    for key, value in written:
        log.write(key, value)
    log.flush()
    assert sorted(log.read()) == sorted(written)


def test_topics_can_be_ensured_twice_and_changes_are_compacted(kafka: str) -> None:
    from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType

    for _ in range(2):
        ensure_topics(kafka, "ensured", partitions=3, replication=1)
    admin = AdminClient({"bootstrap.servers": kafka})
    topics = admin.list_topics(timeout=10).topics
    assert len(topics["ensured"].partitions) == len(topics[dead_letter_topic("ensured")].partitions) == 3
    (described,) = admin.describe_configs([ConfigResource(ResourceType.TOPIC, "ensured")]).values()
    assert described.result(10)["cleanup.policy"].value == "compact"


def test_a_kafka_that_is_away_is_unavailable() -> None:
    away = KafkaChangeLog(f"127.0.0.1:{free_port()}", "instruments")
    away.write(b"k", b"v")
    with pytest.raises(LogUnavailable):
        away.flush(timeout_s=0.5)
