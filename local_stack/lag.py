"""How far the streaming job is behind the Kafka log, as its committed offsets tell (they follow each checkpoint)."""

from __future__ import annotations

import time
from dataclasses import dataclass

from confluent_kafka import Consumer, KafkaException, TopicPartition

from instrument_cache.errors import LogUnavailable

_TIMEOUT_S = 5.0


@dataclass(frozen=True)
class Lag:
    """Records not yet covered by a checkpoint, and the age of the oldest of them in seconds (0: none)."""

    messages: int
    oldest_s: float


def stream_lag(bootstrap: str, dataset: str) -> Lag:
    """Raises LogUnavailable."""
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": f"instrument-cache.{dataset}",
            "enable.auto.commit": False,
            "log_level": 0,
            "socket.timeout.ms": int(_TIMEOUT_S * 1000),
        }
    )
    try:
        return _lag(consumer, dataset)
    except KafkaException as error:
        raise LogUnavailable(f"Kafka at {bootstrap} does not tell its offsets: {error}") from error
    finally:
        consumer.close()


def _lag(consumer: Consumer, topic: str) -> Lag:
    partitions = consumer.list_topics(topic, timeout=_TIMEOUT_S).topics[topic].partitions
    unread: list[TopicPartition] = []
    messages = 0
    for committed in consumer.committed([TopicPartition(topic, p) for p in partitions], timeout=_TIMEOUT_S):
        low, high = consumer.get_watermark_offsets(committed, timeout=_TIMEOUT_S)
        position = max(low, committed.offset)
        if high > position:
            messages += high - position
            unread.append(TopicPartition(topic, committed.partition, position))
    return Lag(messages, _oldest_age_s(consumer, unread))


def _oldest_age_s(consumer: Consumer, unread: list[TopicPartition]) -> float:
    ages = []
    for partition in unread:
        consumer.assign([partition])
        message = consumer.poll(_TIMEOUT_S)
        if message is not None and message.error() is None:
            ages.append(time.time() - message.timestamp()[1] / 1000)
    return max(ages, default=0.0)
