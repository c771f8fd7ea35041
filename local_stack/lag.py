"""How far the streaming job is behind the Kafka log, as its committed offsets tell (they follow each checkpoint)."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
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
    with _consumer(bootstrap, dataset) as consumer:
        committed = _committed(consumer, dataset)
        ends = _ends(consumer, committed)
        unread = [p for p in committed if ends[p.partition] > max(p.offset, 0)]
        messages = sum(ends[p.partition] - max(p.offset, 0) for p in unread)
        return Lag(messages, _oldest_age_s(consumer, unread))


def log_end(bootstrap: str, dataset: str) -> dict[int, int]:
    """Partition → the offset of its next record. Raises LogUnavailable."""
    with _consumer(bootstrap, dataset) as consumer:
        return _ends(consumer, _committed(consumer, dataset))


def has_applied(bootstrap: str, dataset: str, end: dict[int, int]) -> bool:
    """True if a checkpoint covers every record before `end` (of `log_end`). Raises LogUnavailable."""
    with _consumer(bootstrap, dataset) as consumer:
        return all(max(p.offset, 0) >= end[p.partition] for p in _committed(consumer, dataset))


@contextmanager
def _consumer(bootstrap: str, dataset: str) -> Iterator[Consumer]:
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
        yield consumer
    except KafkaException as error:
        raise LogUnavailable(f"Kafka at {bootstrap} does not tell its offsets: {error}") from error
    finally:
        consumer.close()


def _committed(consumer: Consumer, topic: str) -> list[TopicPartition]:
    partitions = consumer.list_topics(topic, timeout=_TIMEOUT_S).topics[topic].partitions
    return consumer.committed([TopicPartition(topic, p) for p in partitions], timeout=_TIMEOUT_S)


def _ends(consumer: Consumer, partitions: list[TopicPartition]) -> dict[int, int]:
    return {p.partition: consumer.get_watermark_offsets(p, timeout=_TIMEOUT_S)[1] for p in partitions}


def _oldest_age_s(consumer: Consumer, unread: list[TopicPartition]) -> float:
    ages = []
    for partition in unread:
        consumer.assign([TopicPartition(partition.topic, partition.partition, max(partition.offset, 0))])
        message = consumer.poll(_TIMEOUT_S)
        if message is not None and message.error() is None:
            ages.append(time.time() - message.timestamp()[1] / 1000)
    return max(ages, default=0.0)
