"""Live traffic for fault tests: writers of random changes, and readers that keep what they see for the checker."""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Final

import httpx
import redis
from confluent_kafka import KafkaException

from instrument_cache.errors import InstrumentCacheError, LogUnavailable
from instrument_cache.kafka import make_producer
from instrument_cache.source.interface import Source
from local_stack.instance import DATASET, Instance
from local_stack.synthetic import synthetic_cusip
from tests.faults.checker import Seen, reader_findings
from tests.faults.histories import History
from tests.stack import Stack

SOURCE_KEYS: Final = 300
# Few beside the source's: a feed that starts anew deletes what its source lacks, but refuses to delete every fifth key.
LOG_KEYS: Final = 40
LOG_KEYS_START: Final = 5000
REST: Final = "REST"
_WRITE_PAUSE_S: Final = 0.02
_READ_PAUSE_S: Final = 0.02
_FLUSH_S: Final = 120.0


class Loop:
    """Does one thing again and again in a thread of its own, from `start` to `stop`."""

    def __init__(self, act: Callable[[], None], pause_s: float) -> None:
        self._act, self._pause_s = act, pause_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(60)
        assert not self._thread.is_alive(), f"{self._act} did not end"

    def _run(self) -> None:
        while not self._stop.wait(self._pause_s):
            self._act()


class SourceWriter:
    """Publishes newer and older rows to the source, and deletes some."""

    def __init__(self, source: Source, seed: int) -> None:
        self._source, self._chance = source, random.Random(seed)
        self.skew_us = 0
        self.written = 0

    def write(self) -> None:
        with suppress(InstrumentCacheError, httpx.HTTPError):
            self._change()
            self.written += 1

    def _change(self) -> None:
        cusip = synthetic_cusip(self._chance.randrange(SOURCE_KEYS))
        kind = self._chance.random()
        if kind < 0.1:
            self._source.delete([cusip])
            return
        age_us = self._chance.randrange(5_000_000) if kind < 0.3 else 0
        version = time.time_ns() // 1000 - age_us + self.skew_us
        row = {"cusip": cusip, "name": f"written {self.written}", "last_updated": version}
        self._source.publish([json.dumps(row).encode()])


class LogWriter:
    """Writes to Kafka what no feed would: ties, repetitions, malformed records, Kafka's own tombstones."""

    def __init__(self, bootstrap: str, seed: int) -> None:
        self._history = History(seed, time.time_ns() // 1000, LOG_KEYS, LOG_KEYS_START)
        # Longer than the longest fault. What never reaches the log is not expected of the store.
        self._producer = make_producer(bootstrap, give_up_s=600)
        self.skew_us = 0

    def write(self) -> None:
        message = self._history.next(now_us=time.time_ns() // 1000 + self.skew_us)
        with suppress(BufferError, KafkaException):
            self._producer.produce(DATASET, key=message.key, value=message.value)
        self._producer.poll(0)

    def flush(self) -> None:
        if left := self._producer.flush(_FLUSH_S):
            raise LogUnavailable(f"Kafka did not take {left} records within {_FLUSH_S:.0f} s")


class Reader:
    """Keeps each difference between what it sees and what it saw before."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._held: dict[str, bytes | None] = {}
        self._seen: list[Seen] = []
        self.read = 0

    def note(self, key: str, stored: bytes | None) -> None:
        if key not in self._held or self._held[key] != stored:
            self._held[key] = stored
            self._seen.append(Seen(self._name, key, stored))

    def take(self) -> list[Seen]:
        """All since the last call, beginning with what was held then."""
        seen, self._seen = self._seen, [Seen(self._name, key, stored) for key, stored in self._held.items()]
        return seen


class RedisReader(Reader):
    """Reads every key at once, again and again, from Redis itself."""

    def __init__(self, url: str, numbers: list[int]) -> None:
        super().__init__("Redis")
        self._client = redis.Redis.from_url(url, socket_timeout=5)
        self._keys = [f"instr:{synthetic_cusip(number)}" for number in numbers]

    def look(self) -> None:
        with suppress(redis.RedisError):
            for key, stored in zip(self._keys, self._client.mget(self._keys), strict=True):
                self.note(key, stored)
            self.read += 1


class RestReader(Reader):
    """Asks the lookup service for one key after the other. Its answer is the stored bytes, or 404."""

    def __init__(self, url: str, numbers: list[int]) -> None:
        super().__init__(REST)
        self._http = httpx.Client(base_url=url, timeout=5, trust_env=False)
        self._cusips = [synthetic_cusip(number) for number in numbers]
        self._at = 0

    def look(self) -> None:
        self._at = (self._at + 1) % len(self._cusips)
        cusip = self._cusips[self._at]
        with suppress(httpx.HTTPError):
            answer = self._http.get(f"/v1/instruments/{cusip}")
            if answer.status_code in (200, 404):
                self.note(f"instr:{cusip}", answer.content if answer.is_success else None)
                self.read += 1


class Readers:
    """Both readers, for as long as the block lasts."""

    def __init__(self, instance: Instance, numbers: list[int]) -> None:
        self.redis = RedisReader(instance.redis_url, numbers)
        self.rest = RestReader(instance.url("lookup"), numbers)
        self._loops = [Loop(self.redis.look, _READ_PAUSE_S), Loop(self.rest.look, _READ_PAUSE_S)]

    def __enter__(self) -> Readers:
        for loop in self._loops:
            loop.start()
        return self

    def __exit__(self, *_: object) -> None:
        for loop in self._loops:
            loop.stop()

    def take(self) -> list[Seen]:
        return self.redis.take() + self.rest.take()


class Traffic:
    """Changes by way of the source alone, and the readers of their keys."""

    def __init__(self, stack: Stack, seed: int) -> None:
        self._writer = SourceWriter(stack.source, seed)
        self._readers = Readers(stack.instance, list(range(SOURCE_KEYS)))

    @property
    def written(self) -> int:
        return self._writer.written

    @property
    def read(self) -> int:
        return min(self._readers.redis.read, self._readers.rest.read)

    @property
    def regressions(self) -> list[str]:
        """What the readers saw and must not see. For the end: it takes what they kept."""
        found = reader_findings(self._readers.take(), frozenset({REST}))
        return [f"{finding.name} of {finding.where}: {finding.text}" for finding in found]

    @contextmanager
    def running(self) -> Iterator[Traffic]:
        writing = Loop(self._writer.write, _WRITE_PAUSE_S)
        with self._readers:
            writing.start()
            try:
                yield self
            finally:
                writing.stop()


@contextmanager
def traffic(stack: Stack, seed: int) -> Iterator[Traffic]:
    """Traffic for as long as the block lasts."""
    with Traffic(stack, seed).running() as live:
        yield live


@contextmanager
def writing(*writers: SourceWriter | LogWriter) -> Iterator[None]:
    """Writers at work for as long as the block lasts."""
    loops = [Loop(writer.write, _WRITE_PAUSE_S) for writer in writers]
    for loop in loops:
        loop.start()
    try:
        yield
    finally:
        for loop in loops:
            loop.stop()
