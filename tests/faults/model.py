"""The stream in one process: a partitioned log, a worker, checkpoints, crashes and replay at seeded points.

Only the stream around it is modelled, by Flink's rules: a batch is finished before a checkpoint covers it, a crash goes
back to the last checkpoint, and dead letters count once a checkpoint commits them. Decoder, batches and store are the
product's own, on a real Redis.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Protocol

import redis

from instrument_cache.errors import StoreUnavailable
from tests.faults.checker import Seen
from tests.faults.expected import LogRecord

Batch = Sequence[LogRecord]


class Worker(Protocol):
    """What Flink runs: it takes batches, and is gone with all that it holds after a crash."""

    def apply(self, batch: Batch) -> list[LogRecord]:
        """Take a batch and return the rejected records. Raises StoreUnavailable."""
        ...

    def close(self) -> None:
        """The stream has ended."""
        ...


class StreamModel:
    """Streams `log` through workers that `make_worker` makes; `store` is what a reader looks at."""

    def __init__(
        self, log: list[list[LogRecord]], make_worker: Callable[[], Worker], store: redis.Redis, chance: random.Random
    ) -> None:
        self._log, self._make_worker, self._store, self._chance = log, make_worker, store, chance
        self._worker = make_worker()
        self._positions = [0] * len(log)
        self._checkpoint_positions = list(self._positions)
        self._pending: list[LogRecord] = []
        self._held: dict[bytes, bytes | None] = {}
        self.dead_letters: list[tuple[int, int]] = []
        self.seen: list[Seen] = []
        self.crashes = 0

    def run(self) -> None:
        """Until everything is applied and covered by a checkpoint. At the end nothing fails any more."""
        for _ in range(3 * sum(map(len, self._log)) // 20):
            self._step()
        while batch := self._read(20):
            with suppress(StoreUnavailable):
                self._take(batch)
                continue
            self._crash()
        self._worker.close()
        self._checkpoint()
        self._observe()

    def _step(self) -> None:
        chance = self._chance.random()
        if chance < 0.2:
            self._checkpoint()
            # Just after a checkpoint a crash shows what was acknowledged too early, and just before one what repeats.
            if self._chance.random() < 0.4:
                self._crash()
        elif chance < 0.3:
            self._crash()
        elif batch := self._read(self._chance.randrange(1, 20)):
            try:
                self._take(batch)
            except StoreUnavailable:
                self._crash()

    def _read(self, count: int) -> list[LogRecord]:
        """The next records of some partitions, each partition in its order."""
        batch: list[LogRecord] = []
        for partition in self._chance.sample(range(len(self._log)), len(self._log)):
            at = self._positions[partition]
            batch += self._log[partition][at : at + self._chance.randrange(count + 1)]
        return batch or [
            records[at] for records, at in zip(self._log, self._positions, strict=True) if at < len(records)
        ]

    def _take(self, batch: list[LogRecord]) -> None:
        self._pending += self._worker.apply(batch)
        for record in batch:
            self._positions[record.partition] = record.offset + 1
        self._observe()

    def _checkpoint(self) -> None:
        self._checkpoint_positions = list(self._positions)
        self.dead_letters += [record.position for record in self._pending]
        self._pending = []

    def _crash(self) -> None:
        self.crashes += 1
        self._positions = list(self._checkpoint_positions)
        self._pending = []
        self._worker = self._make_worker()

    def _observe(self) -> None:
        ordered = sorted({*self._store.keys("instr:*"), *self._held})
        for key, stored in zip(ordered, self._store.mget(ordered) if ordered else [], strict=True):
            if self._held.get(key) != stored:
                self._held[key] = stored
                self.seen.append(Seen("reader", key.decode(), stored))
