"""What every change log promises, asked of the in-memory twin and of a real Kafka broker by the same tests."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest
from confluent_kafka import Consumer, TopicPartition

from feed.change_log.interface import ChangeLog
from feed.change_log.kafka import KafkaChangeLog
from feed.change_log.memory import MemoryChangeLog
from feed.topics import dead_letter_topic, ensure_topics
from instrument_cache.errors import LogUnavailable
from tests.servers import free_port

PARTITIONS = 4


@pytest.fixture(params=["memory", "kafka"])
def log(request: pytest.FixtureRequest) -> Iterator[ChangeLog]:
    if request.param == "memory":
        yield MemoryChangeLog(PARTITIONS)
        return
    bootstrap = request.getfixturevalue("kafka")
    topic = f"log-{uuid.uuid4().hex[:8]}"
    ensure_topics(bootstrap, topic, PARTITIONS, replication=1)
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


def test_tells_its_partitions(log: ChangeLog) -> None:
    assert log.partitions() == [0, 1, 2, 3]


def test_a_record_goes_to_the_partition_that_is_given_else_to_its_keys(log: ChangeLog) -> None:
    for partition in range(PARTITIONS):
        log.write(b"p%d" % partition, b"v", partition)
        for _ in range(3):
            log.write(b"by-key", b"v")
    log.flush()
    placed = _placed(log)
    assert {key: places for key, places in placed.items() if key != b"by-key"} == {
        b"p%d" % partition: [partition] for partition in range(PARTITIONS)
    }
    assert len(set(placed[b"by-key"])) == 1


def _placed(log: ChangeLog) -> dict[bytes, list[int]]:
    """The partitions of each key's records."""
    placed: dict[bytes, list[int]] = {}
    if isinstance(log, MemoryChangeLog):
        for (key, _), partition in zip(log.records, log.placed, strict=True):
            placed.setdefault(key, []).append(partition)
        return placed
    assert isinstance(log, KafkaChangeLog)
    consumer = Consumer({"bootstrap.servers": log._bootstrap, "group.id": "test", "enable.auto.commit": False})
    consumer.assign([TopicPartition(log._topic, partition, 0) for partition in range(PARTITIONS)])
    while sum(map(len, placed.values())) < PARTITIONS * 4:
        message = consumer.poll(10)
        assert message is not None, placed
        placed.setdefault(message.key() or b"", []).append(message.partition() or 0)
    consumer.close()
    return placed


def test_a_topic_that_is_not_there_is_unavailable(kafka: str) -> None:
    with pytest.raises(LogUnavailable):
        KafkaChangeLog(kafka, "nobody-made-it").partitions()


def test_topics_can_be_ensured_twice_and_changes_are_compacted(kafka: str) -> None:
    from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType

    for _ in range(2):
        ensure_topics(kafka, "ensured", partitions=3, replication=1)
    _set_compaction_lag(kafka, "ensured", "1000000000")  # as a topic that was made before canaries has it
    ensure_topics(kafka, "ensured", partitions=3, replication=1)
    admin = AdminClient({"bootstrap.servers": kafka})
    topics = admin.list_topics(timeout=10).topics
    assert len(topics["ensured"].partitions) == len(topics[dead_letter_topic("ensured")].partitions) == 3
    (described,) = admin.describe_configs([ConfigResource(ResourceType.TOPIC, "ensured")]).values()
    config = described.result(10)
    assert config["cleanup.policy"].value == "compact"
    assert config["max.compaction.lag.ms"].value == "21600000", "canaries must not pile up"


def _set_compaction_lag(kafka: str, topic: str, value: str) -> None:
    from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

    entry = ConfigEntry("max.compaction.lag.ms", value, incremental_operation=AlterConfigOpType.SET)
    change = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
    admin = AdminClient({"bootstrap.servers": kafka})
    (done,) = admin.incremental_alter_configs([change]).values()
    done.result(10)


def test_a_kafka_that_is_away_is_unavailable() -> None:
    away = KafkaChangeLog(f"127.0.0.1:{free_port()}", "instruments")
    away.write(b"k", b"v")
    with pytest.raises(LogUnavailable):
        away.flush(timeout_s=0.5)
