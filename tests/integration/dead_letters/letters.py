"""Writes dead letters as the job does, and stands in for the job."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import count

from confluent_kafka import TopicPartition

from feed.change_log.kafka import KafkaChangeLog
from instrument_cache.batch import BatchApplier
from instrument_cache.clock import SystemClock
from instrument_cache.dead_letters.letter import DeadLetter, dead_letter_topic
from instrument_cache.dead_letters.reader import read_letters
from instrument_cache.dead_letters.service import DeadLetters
from instrument_cache.kafka import make_consumer, make_producer, read_to_end, topic_spans

NOW_US = SystemClock().now_us()
V = NOW_US - 60_000_000


class LetterBox:
    """The topics of one dataset."""

    def __init__(self, dead_letters: DeadLetters) -> None:
        self.bootstrap, self.dataset = dead_letters.bootstrap, dead_letters.dataset
        self._producer = make_producer(self.bootstrap)
        self._offsets = count()

    def add(
        self, value: bytes, code: str = "version_in_future", *, partition: int = 0, at_us: int = NOW_US, again: int = -1
    ) -> str:
        """A letter of `DATASET-0-N`, which is returned; `again` is the N of a record that is rejected again."""
        offset = next(self._offsets) if again < 0 else again
        headers = {"reason": f"{code}: because", "topic": self.dataset, "partition": "0", "offset": str(offset)}
        position = f"{self.dataset}-0-{offset}"
        self.put(position.encode(), value, {name: text.encode() for name, text in headers.items()}, partition, at_us)
        return position

    def put(
        self,
        key: bytes | None,
        value: bytes | None,
        headers: dict[str, bytes] | None = None,
        partition: int = 0,
        at_us: int = NOW_US,
    ) -> None:
        """Any record."""
        self._producer.produce(
            dead_letter_topic(self.dataset),
            key=key,
            value=value,
            headers=list((headers or {}).items()),
            partition=partition,
            timestamp=at_us // 1000,
        )
        self._producer.flush(20)

    def letters(self) -> list[DeadLetter]:
        return in_order(read_letters(self.bootstrap, self.dataset))

    def changes(self) -> list[tuple[bytes, bytes, int]]:
        """(key, value, partition) of every record of the change topic."""
        messages = read_to_end(self.bootstrap, self.dataset, group="test")
        return [(message.key(), message.value(), message.partition()) for message in messages]

    def feed(self, key: str, value: bytes) -> None:
        """Write a change as the feed does."""
        log = KafkaChangeLog(self.bootstrap, self.dataset)
        log.write(key.encode(), value)
        log.close()


def in_order(letters: Iterator[DeadLetter]) -> list[DeadLetter]:
    """By the place of the letter; a letter that comes twice is there twice."""
    return sorted(letters, key=lambda letter: (letter.letter_partition, letter.letter_offset))


class Job:
    """Applies the change topic to the store with the job's own code, one record at a time."""

    def __init__(self, dead_letters: DeadLetters, record_bytes_max: int | None = None) -> None:
        contract = dead_letters.contract
        contract = replace(contract, record_bytes_max=record_bytes_max or contract.record_bytes_max)
        self._applier = BatchApplier(contract, dead_letters.store)
        self._bootstrap, self._dataset = dead_letters.bootstrap, dead_letters.dataset
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        consumer = make_consumer(self._bootstrap, "test")
        consumer.assign([TopicPartition(self._dataset, p, 0) for p in topic_spans(self._bootstrap, self._dataset)])
        while not self._stop.is_set():
            message = consumer.poll(0.1)
            if message is not None and message.error() is None:
                self._applier.apply([message.value()], [message.partition()], [message.offset()])
        consumer.close()

    @contextmanager
    def running(self) -> Iterator[None]:
        self._thread.start()
        try:
            yield
        finally:
            self._stop.set()
            self._thread.join()
