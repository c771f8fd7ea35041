"""The change log on Kafka: an idempotent producer that waits for all replicas."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, Final

from confluent_kafka import KafkaException

from instrument_cache.errors import LogUnavailable
from instrument_cache.kafka import make_producer, read_to_end

_TIMEOUT_S: Final = 20.0
_UNKNOWN_S_MAX: Final = 5.0
_BY_KEY: Final = -1


class KafkaChangeLog:
    """Implements `ChangeLog` on one topic. Not to be shared between threads."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        self._bootstrap, self._topic = bootstrap, topic
        self._error: Any = None
        # A record is never given up: a feed that cannot write must wait, not lose.
        self._producer = make_producer(bootstrap)

    def write(self, key: bytes, value: bytes, partition: int | None = None) -> None:
        place = _BY_KEY if partition is None else partition
        while True:
            self._raise_error()
            try:
                self._producer.produce(self._topic, key=key, value=value, partition=place, on_delivery=self._delivered)
                self._producer.poll(0)
                return
            except BufferError:
                self._producer.poll(0.2)
            except KafkaException as error:
                raise LogUnavailable(f"Kafka refused a record of {len(value)} bytes: {error}") from error

    def partitions(self) -> list[int]:
        """A topic that was made a moment ago is not known at once, so an unknown one is asked for again."""
        deadline = time.monotonic() + _UNKNOWN_S_MAX
        while True:
            topic = self._describe()
            if topic.error is None and topic.partitions:
                return sorted(topic.partitions)
            if time.monotonic() > deadline:
                raise LogUnavailable(f"Kafka at {self._bootstrap} has no topic {self._topic!r}: {topic.error}")
            time.sleep(0.1)

    def _describe(self) -> Any:
        try:
            return self._producer.list_topics(self._topic, timeout=_TIMEOUT_S).topics[self._topic]
        except KafkaException as error:
            raise LogUnavailable(f"Kafka at {self._bootstrap} does not describe {self._topic!r}: {error}") from error

    def flush(self, timeout_s: float = 30.0) -> None:
        left = self._producer.flush(timeout_s)
        self._raise_error()
        if left:
            raise LogUnavailable(f"Kafka at {self._bootstrap} did not take {left} records within {timeout_s} s")

    def poll(self) -> None:
        self._producer.poll(0)
        self._raise_error()

    def read(self) -> Iterator[tuple[bytes, bytes]]:
        for message in read_to_end(self._bootstrap, self._topic, group="instrument-cache.feed"):
            yield message.key() or b"", message.value() or b""

    def close(self) -> None:
        self.flush()

    def _delivered(self, error: Any, message: Any) -> None:
        if error is not None:
            self._error = error

    def _raise_error(self) -> None:
        if self._error is not None:
            raise LogUnavailable(f"Kafka at {self._bootstrap} lost a record of {self._topic!r}: {self._error}")
