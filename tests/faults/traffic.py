"""Live traffic for fault tests: a writer of random changes, and a reader that would see a version go back."""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import redis

from instrument_cache.change import version_of
from instrument_cache.errors import SourceUnavailable
from local_stack.synthetic import synthetic_cusip
from tests.stack import Stack

KEYS = 300
_WRITE_PAUSE_S = 0.02
_READ_PAUSE_S = 0.01


class Traffic:
    """Writes puts, deletes and older versions; reads all keys again and again. Ends with `stop`."""

    def __init__(self, stack: Stack, seed: int) -> None:
        self._stack = stack
        self._chance = random.Random(seed)
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=work, daemon=True) for work in (self._write, self._read)]
        self.written = 0
        self.read = 0
        self.regressions: list[str] = []

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(60)

    def _write(self) -> None:
        source = self._stack.source
        while not self._stop.wait(_WRITE_PAUSE_S):
            with suppress(SourceUnavailable):
                self._change(source)
                self.written += 1

    def _change(self, source: object) -> None:
        cusip = synthetic_cusip(self._chance.randrange(KEYS))
        kind = self._chance.random()
        if kind < 0.1:
            source.delete([cusip])  # type: ignore[attr-defined]
            return
        age_us = self._chance.randrange(5_000_000) if kind < 0.3 else 0
        version = time.time_ns() // 1000 - age_us
        row = {"cusip": cusip, "name": f"written {self.written}", "last_updated": version}
        source.publish([json.dumps(row).encode()])  # type: ignore[attr-defined]

    def _read(self) -> None:
        client = redis.Redis.from_url(self._stack.instance.redis_url, socket_timeout=5)
        keys = [f"instr:{synthetic_cusip(number)}" for number in range(KEYS)]
        seen: dict[str, int] = {}
        while not self._stop.wait(_READ_PAUSE_S):
            with suppress(redis.RedisError):
                self._check(seen, zip(keys, client.mget(keys), strict=True))
                self.read += 1

    def _check(self, seen: dict[str, int], found: Iterator[tuple[str, bytes | None]]) -> None:
        for key, value in found:
            version = version_of(value) if value else 0
            if version < seen.get(key, 0):
                self.regressions.append(f"{key} went from {seen[key]} to {version}")
            seen[key] = version


@contextmanager
def traffic(stack: Stack, seed: int) -> Iterator[Traffic]:
    """Traffic for as long as the block lasts."""
    running = Traffic(stack, seed)
    running.start()
    try:
        yield running
    finally:
        running.stop()
