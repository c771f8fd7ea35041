"""The change log on Kafka: an idempotent producer that waits for all replicas."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition

from feed.topics import MESSAGE_BYTES_MAX
from instrument_cache.errors import LogUnavailable

_TIMEOUT_S: Final = 20.0
_READ_BATCH: Final = 5000


class KafkaChangeLog:
    """Implements `ChangeLog` on one topic. Not to be shared between threads."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        self._bootstrap, self._topic = bootstrap, topic
        self._error: Any = None
        self._producer = Producer(
            {
                "bootstrap.servers": bootstrap,
                "enable.idempotence": True,
                "acks": "all",
                # A record is never given up: a feed that cannot write must wait, not lose.
                "message.timeout.ms": 0,
                "message.max.bytes": MESSAGE_BYTES_MAX,
                "linger.ms": 5,
                "compression.type": "lz4",
                # The Java client's choice of partition, so that other producers agree with this one.
                "partitioner": "murmur2_random",
            }
        )

    def write(self, key: bytes, value: bytes) -> None:
        while True:
            self._raise_error()
            try:
                self._producer.produce(self._topic, key=key, value=value, on_delivery=self._delivered)
                self._producer.poll(0)
                return
            except BufferError:
                self._producer.poll(0.2)
            except KafkaException as error:
                raise LogUnavailable(f"Kafka refused a record of {len(value)} bytes: {error}") from error

    def flush(self, timeout_s: float = 30.0) -> None:
        left = self._producer.flush(timeout_s)
        self._raise_error()
        if left:
            raise LogUnavailable(f"Kafka at {self._bootstrap} did not take {left} records within {timeout_s} s")

    def poll(self) -> None:
        self._producer.poll(0)
        self._raise_error()

    def read(self) -> Iterator[tuple[bytes, bytes]]:
        consumer = Consumer(
            {
                "bootstrap.servers": self._bootstrap,
                "group.id": "instrument-cache.feed",
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "auto.offset.reset": "earliest",
                "fetch.message.max.bytes": MESSAGE_BYTES_MAX,
            }
        )
        try:
            yield from self._read_all(consumer)
        except KafkaException as error:
            raise LogUnavailable(f"Kafka at {self._bootstrap} did not read {self._topic!r}: {error}") from error
        finally:
            consumer.close()

    def _read_all(self, consumer: Consumer) -> Iterator[tuple[bytes, bytes]]:
        topic = consumer.list_topics(self._topic, timeout=_TIMEOUT_S).topics[self._topic]
        unread = set(topic.partitions)
        consumer.assign([TopicPartition(self._topic, partition, 0) for partition in unread])
        while unread:
            for message in consumer.consume(_READ_BATCH, timeout=1.0):
                error: Any = message.error()
                if error is None:
                    yield message.key() or b"", message.value() or b""
                elif error.code() == KafkaError._PARTITION_EOF:
                    unread.discard(message.partition())
                else:
                    raise KafkaException(error)

    def close(self) -> None:
        self.flush()

    def _delivered(self, error: Any, message: Any) -> None:
        if error is not None:
            self._error = error

    def _raise_error(self) -> None:
        if self._error is not None:
            raise LogUnavailable(f"Kafka at {self._bootstrap} lost a record of {self._topic!r}: {self._error}")
