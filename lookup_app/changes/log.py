"""The change stream's view of Kafka: what the topic is, the records as they come, and those of the past."""

from __future__ import annotations

import threading
from collections.abc import Generator, Mapping
from contextlib import closing
from typing import Any, Final, NamedTuple

import structlog
from confluent_kafka import KafkaException, TopicCollection, TopicPartition

from instrument_cache.errors import LogUnavailable
from instrument_cache.kafka import Span, make_admin, make_consumer, read_to_end, topic_spans
from lookup_app.changes.cursor import TOPIC_DIGITS, Cursor
from lookup_app.changes.records import Record

logger = structlog.get_logger()
_GROUP: Final = "instrument-cache.changes"
_POLL_RECORDS_MAX: Final = 5000
_DESCRIBE_S_MAX: Final = 2.0
_LOOK_EVERY_S: Final = 1.0


class Topic(NamedTuple):
    """Which topic it is, and its partitions."""

    id: str
    partitions: tuple[int, ...]


class TopicWatch:
    """Looks at the topic each second, in a thread: whether Kafka answers, and whether it still is the same topic."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        self._bootstrap, self._name = bootstrap, topic
        self._admin: Any = None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"topic-{topic}", daemon=True)
        self.topic: Topic | None = None
        self.is_up = False

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        while True:
            was_up = self.is_up
            try:
                self.topic, self.is_up = self._look(), True
            except LogUnavailable as error:
                self.is_up = False
                if was_up:
                    logger.warning("log_away", topic=self._name, error=str(error))
            if self._ended.wait(_LOOK_EVERY_S):
                return

    def _look(self) -> Topic:
        self._admin = self._admin or make_admin(self._bootstrap)
        asked = self._admin.describe_topics(TopicCollection([self._name]), request_timeout=_DESCRIBE_S_MAX)
        try:
            found = asked[self._name].result(2 * _DESCRIBE_S_MAX)
        except (KafkaException, TimeoutError) as error:
            raise LogUnavailable(f"Kafka at {self._bootstrap} does not describe {self._name!r}: {error}") from error
        digits = f"{found.topic_id.get_most_significant_bits() & (1 << 64) - 1:016x}"
        return Topic(digits[:TOPIC_DIGITS], tuple(sorted(partition.id for partition in found.partitions)))


class KafkaLog:
    """The topic of a dataset. `poll` is for one thread; `past` and `spans` make consumers of their own."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        self._bootstrap, self._topic = bootstrap, topic
        self._consumer: Any = None

    def spans(self) -> dict[int, Span]:
        """Partition → what it keeps now. Raises LogUnavailable."""
        return topic_spans(self._bootstrap, self._topic)

    def open(self, offsets: Mapping[int, int]) -> None:
        """Go on from these offsets: `poll` gives what comes."""
        self.close()
        self._consumer = make_consumer(self._bootstrap, _GROUP)
        self._consumer.assign([TopicPartition(self._topic, at, offset) for at, offset in offsets.items()])

    def poll(self, timeout_s: float) -> list[Record]:
        """The records that came within `timeout_s`, per partition in order. While Kafka is away none come."""
        found = self._consumer.consume(_POLL_RECORDS_MAX, timeout=timeout_s)
        return [_record(message) for message in found if message.error() is None]

    def close(self) -> None:
        if self._consumer is not None:
            self._consumer.close()
            self._consumer = None

    def past(self, start: Cursor, end: Cursor) -> Generator[list[Record], None, None]:
        """The records from `start` up to `end`, some at a time, per partition in order. Raises LogUnavailable."""
        starts = {at: offset for at, offset in start.offsets.items() if offset < end.offsets.get(at, 0)}
        part: list[Record] = []
        reading: Any = read_to_end(self._bootstrap, self._topic, group=_GROUP, starts=starts)
        with closing(reading) as messages:
            for message in messages:
                if message.offset() < end.offsets[message.partition()]:
                    part.append(_record(message))
                if len(part) >= _POLL_RECORDS_MAX:
                    yield part
                    part = []
        yield part


def _record(message: Any) -> Record:
    return Record(message.partition(), message.offset(), message.key() or b"")
