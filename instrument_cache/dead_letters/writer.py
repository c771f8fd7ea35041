"""Writes records into a dataset's change topic, where the job takes them like any other."""

from __future__ import annotations

from typing import Any, Final

from confluent_kafka import KafkaException

from instrument_cache.errors import LogUnavailable
from instrument_cache.kafka import make_producer

GIVE_UP_S: Final = 30.0


class RecordWriter:
    """Reports each record: `placed` maps its name to (partition, offset), `failed` to why Kafka did not take it.

    A record in neither may be in the topic or not.
    """

    def __init__(self, bootstrap: str, topic: str, give_up_s: float = GIVE_UP_S) -> None:
        self._bootstrap, self._topic, self._give_up_s = bootstrap, topic, give_up_s
        self._producer = make_producer(bootstrap, give_up_s)
        self.placed: dict[str, tuple[int, int]] = {}
        self.failed: dict[str, str] = {}

    def write(self, name: str, key: str, value: bytes) -> None:
        """Queue a record. Raises LogUnavailable for it, or once Kafka did not take an earlier one."""
        self._raise_failure()
        while True:
            try:
                self._producer.produce(self._topic, key=key.encode(), value=value, on_delivery=self._report(name))
                self._producer.poll(0)
                return
            except BufferError:
                self._producer.poll(0.2)
            except KafkaException as error:
                raise LogUnavailable(f"Kafka refused a record of {len(value)} bytes: {error}") from error

    def flush(self) -> None:
        """Return once Kafka has taken every record. Raises LogUnavailable."""
        self.await_reports(self._give_up_s + 5)
        self._raise_failure()

    def await_reports(self, timeout_s: float) -> None:
        """Take the reports that come within `timeout_s`."""
        self._producer.flush(timeout_s)

    def _report(self, name: str) -> Any:
        def delivered(error: Any, message: Any) -> None:
            if error is None:
                self.placed[name] = (message.partition(), message.offset())
            else:
                self.failed[name] = str(error.str())

        return delivered

    def _raise_failure(self) -> None:
        if self.failed:
            why = next(iter(self.failed.values()))
            raise LogUnavailable(f"Kafka at {self._bootstrap} did not take records of {self._topic!r}: {why}")
