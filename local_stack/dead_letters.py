"""Reads the dead-letter topic."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from feed.topics import MESSAGE_BYTES_MAX, dead_letter_topic
from instrument_cache.errors import LogUnavailable


@dataclass(frozen=True)
class DeadLetter:
    """One rejected message: where it stood (`topic-partition-offset`), why it was rejected, and its original bytes."""

    position: str
    reason: str
    value: bytes


def read_dead_letters(bootstrap: str, dataset: str) -> Iterator[DeadLetter]:
    """Every dead letter that is committed now. Raises LogUnavailable."""
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "instrument-cache.dead-letters",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "isolation.level": "read_committed",
            "fetch.message.max.bytes": MESSAGE_BYTES_MAX,
            "log_level": 0,
        }
    )
    try:
        yield from _read(consumer, dead_letter_topic(dataset))
    except KafkaException as error:
        raise LogUnavailable(f"Kafka at {bootstrap} does not read the dead letters: {error}") from error
    finally:
        consumer.close()


def _read(consumer: Consumer, topic: str) -> Iterator[DeadLetter]:
    unread = set(consumer.list_topics(topic, timeout=5.0).topics[topic].partitions)
    consumer.assign([TopicPartition(topic, partition, 0) for partition in unread])
    while unread:
        for message in consumer.consume(1000, timeout=1.0):
            error: Any = message.error()
            if error is None:
                yield _dead_letter(message)
            elif error.code() == KafkaError._PARTITION_EOF:
                unread.discard(message.partition())
            else:
                raise KafkaException(error)


def _dead_letter(message: Any) -> DeadLetter:
    headers = dict(message.headers())
    return DeadLetter(message.key().decode(), headers["reason"].decode(), message.value() or b"")
