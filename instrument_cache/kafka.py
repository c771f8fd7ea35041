"""The one place that makes Kafka clients, and reads a topic to its present end.

Flink's environment has no Kafka client of Python: nothing that the job imports may import this module.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from instrument_cache.errors import LogUnavailable

# The largest record that clients, topics and brokers take.
MESSAGE_BYTES_MAX: Final = 20_000_000
_TIMEOUT_S: Final = 20.0
_METADATA_TIMEOUT_S: Final = 5.0
_READ_BATCH: Final = 5000
# How long one call gathers records. Short, because large ones would pile up in memory meanwhile.
_GATHER_S: Final = 0.2
_NO_LEADER: Final = frozenset({KafkaError.NOT_LEADER_FOR_PARTITION, KafkaError.LEADER_NOT_AVAILABLE})


@dataclass(frozen=True, slots=True)
class Span:
    """The offsets of a partition: `start` is the first that is kept, `end` the one after the last."""

    start: int
    end: int


def make_producer(bootstrap: str, give_up_s: float | None = None) -> Producer:
    """An idempotent producer that waits for all replicas.

    Without `give_up_s` a record is never given up; with it, a record that Kafka did not take in time is reported so.
    """
    options: dict[str, Any] = {
        "bootstrap.servers": bootstrap,
        "enable.idempotence": True,
        "acks": "all",
        "message.timeout.ms": 0 if give_up_s is None else int(give_up_s * 1000),
        "message.max.bytes": MESSAGE_BYTES_MAX,
        # Measured at 5,000 records a second: 2 ms earlier in Kafka than with 5, and 1 only costs more CPU.
        "linger.ms": 2,
        "compression.type": "lz4",
        # The Java client's choice of partition, so that other producers agree with this one.
        "partitioner": "murmur2_random",
    }
    if give_up_s is not None:
        options["log_level"] = 0  # every failure is reported with its record
    return Producer(options)


def make_consumer(bootstrap: str, group: str, *, committed_only: bool = False) -> Consumer:
    """A consumer that commits nothing by itself; with `committed_only` it sees no open or aborted transaction."""
    return Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": group,
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "auto.offset.reset": "earliest",
            "isolation.level": "read_committed" if committed_only else "read_uncommitted",
            "fetch.message.max.bytes": MESSAGE_BYTES_MAX,
            "log_level": 0,
        }
    )


def make_admin(bootstrap: str) -> Any:
    """A client that makes and describes topics."""
    return AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})


def topic_id(bootstrap: str, topic: str) -> str:
    """What tells a topic from another one of the same name, 32 hexadecimal digits. Raises LogUnavailable."""
    from confluent_kafka import TopicCollection

    admin = make_admin(bootstrap)  # the answer comes only while the client is held
    answers = admin.describe_topics(TopicCollection([topic]), request_timeout=_METADATA_TIMEOUT_S)
    try:
        described = answers[topic].result(_TIMEOUT_S).topic_id
    except KafkaException as error:
        raise LogUnavailable(f"Kafka at {bootstrap} does not describe {topic!r}: {_text(error)}") from error
    mask = (1 << 64) - 1
    return f"{described.get_most_significant_bits() & mask:016x}{described.get_least_significant_bits() & mask:016x}"


def read_to_end(
    bootstrap: str,
    topic: str,
    *,
    group: str,
    committed_only: bool = False,
    starts: Mapping[int, int] | None = None,
) -> Iterator[Any]:
    """Every message from `starts` (partition → offset; None: all that is kept) to the end as it is now.

    Per partition in order. Raises LogUnavailable, also for a broker that falls silent on the way.
    """
    with _consumer(bootstrap, topic, group, committed_only) as consumer:
        yield from _read(consumer, topic, starts)


def topic_spans(bootstrap: str, topic: str, *, committed_only: bool = False) -> dict[int, Span]:
    """Partition → what it keeps now. Raises LogUnavailable."""
    with _consumer(bootstrap, topic, "instrument-cache.spans", committed_only) as consumer:
        return _spans(consumer, topic)


def committed_offsets(bootstrap: str, topic: str, group: str) -> dict[int, int]:
    """Partition → the offset that a consumer group goes on from, 0 where it has none. Raises LogUnavailable."""
    with _consumer(bootstrap, topic, group, False) as consumer:
        wanted = [TopicPartition(topic, partition) for partition in _partitions(consumer, topic)]
        found = consumer.committed(wanted, timeout=_METADATA_TIMEOUT_S)
        return {place.partition: max(place.offset, 0) for place in found}


@contextmanager
def follow(bootstrap: str, topic: str, group: str, wait_s: float) -> Iterator[tuple[set[int], Iterator[Any]]]:
    """The partitions, and the messages that come from now on, for `wait_s` at most. Raises LogUnavailable."""
    with _consumer(bootstrap, topic, group, False) as consumer:
        ends = {at: span.end for at, span in _spans(consumer, topic).items()}
        consumer.assign([TopicPartition(topic, at, end) for at, end in ends.items()])
        yield set(ends), _arriving(consumer, time.monotonic() + wait_s)


def _arriving(consumer: Consumer, deadline_s: float) -> Iterator[Any]:
    while time.monotonic() < deadline_s:
        for message in consumer.consume(_READ_BATCH, timeout=_GATHER_S):
            if not _is_end(message):
                yield message


@contextmanager
def _consumer(bootstrap: str, topic: str, group: str, committed_only: bool) -> Iterator[Consumer]:
    consumer = make_consumer(bootstrap, group, committed_only=committed_only)
    try:
        yield consumer
    except KafkaException as error:
        raise LogUnavailable(f"Kafka at {bootstrap} did not read {topic!r}: {_text(error)}") from error
    finally:
        consumer.close()


def _read(consumer: Consumer, topic: str, starts: Mapping[int, int] | None) -> Iterator[Any]:
    spans = {at: span for at, span in _spans(consumer, topic).items() if starts is None or at in starts}
    firsts = {at: max(span.start, (starts or {}).get(at, 0)) for at, span in spans.items()}
    unread = {at for at, span in spans.items() if firsts[at] < span.end}
    consumer.assign([TopicPartition(topic, at, firsts[at]) for at in unread])
    while unread:
        for message in _consume(consumer, topic):
            partition, end = message.partition(), spans[message.partition()].end
            if _is_end(message) or message.offset() >= end - 1:
                unread.discard(partition)
                consumer.pause([TopicPartition(topic, partition)])
            if message.error() is None and message.offset() < end:
                yield message


def _consume(consumer: Consumer, topic: str) -> list[Any]:
    """The next messages, at least one."""
    deadline = time.monotonic() + _TIMEOUT_S
    while time.monotonic() < deadline:
        if messages := consumer.consume(_READ_BATCH, timeout=_GATHER_S):
            return messages
    raise LogUnavailable(f"Kafka fell silent for {_TIMEOUT_S:.0f} s while {topic!r} was read; is the broker up?")


def _is_end(message: Any) -> bool:
    error = message.error()
    if error is not None and error.code() != KafkaError._PARTITION_EOF:
        raise KafkaException(error)
    return error is not None


def _spans(consumer: Consumer, topic: str) -> dict[int, Span]:
    return {at: _span(consumer, TopicPartition(topic, at)) for at in _partitions(consumer, topic)}


def _span(consumer: Consumer, place: TopicPartition) -> Span:
    """A partition that was made a moment ago, or whose broker died, has no leader yet: it is asked for again."""
    deadline = time.monotonic() + _METADATA_TIMEOUT_S
    while True:
        try:
            return Span(*consumer.get_watermark_offsets(place, timeout=_METADATA_TIMEOUT_S))
        except KafkaException as error:
            if error.args[0].code() not in _NO_LEADER or time.monotonic() > deadline:
                raise
        time.sleep(0.1)


def _partitions(consumer: Consumer, topic: str) -> list[int]:
    """A topic that was made a moment ago is not yet known to every broker, so an unknown one is asked for again."""
    deadline = time.monotonic() + _METADATA_TIMEOUT_S
    while True:
        found = consumer.list_topics(topic, timeout=_METADATA_TIMEOUT_S).topics[topic]
        if found.error is None:
            return sorted(found.partitions)
        if time.monotonic() > deadline:
            raise KafkaException(found.error)
        time.sleep(0.1)


def _text(error: KafkaException) -> str:
    reason = error.args[0]
    return f"{reason.name()}: {reason.str()}" if isinstance(reason, KafkaError) else str(error)
