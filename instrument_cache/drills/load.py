"""Who reads and writes while a drill takes something away, and what they saw. Times are monotonic seconds."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final, Protocol

from instrument_cache.contract import Contract
from instrument_cache.drills.synthetic import drill_values
from instrument_cache.errors import StoreUnavailable
from instrument_cache.store.interface import VersionedStore

# A writer that is refused tries the same batch again after so long.
_RETRY_S: Final = 0.02


class Reads(Protocol):
    """Reads one path: its status (0: no answer), the body, and whether it is marked as stale."""

    def get(self, path: str) -> tuple[int, bytes, bool]: ...


@dataclass
class Written:
    """What a writer was told is stored: full key → the newest bytes, and when each batch was acknowledged."""

    newest: dict[str, bytes] = field(default_factory=dict)
    acknowledged_s: list[float] = field(default_factory=list)
    batches_refused: int = 0

    def gap_s(self, since_s: float) -> float:
        """The longest time without an acknowledged write from the last one before `since_s` on."""
        before = [at_s for at_s in self.acknowledged_s if at_s <= since_s][-1:] or [since_s]
        moments = [*before, *(at_s for at_s in self.acknowledged_s if at_s > since_s)]
        return max((after - first for first, after in pairwise(moments)), default=float("inf"))


class Writer:
    """Writes batches of new versions at a steady pace until it is told to end."""

    def __init__(
        self, store: VersionedStore, keys: Sequence[str], contract: Contract, *, batch: int, pause_s: float, seed: int
    ) -> None:
        self._store, self._keys, self._contract = store, keys, contract
        self._batch, self._pause_s, self._chance = batch, pause_s, random.Random(seed)
        self.written = Written()

    def run(self, stop: threading.Event) -> None:
        """A thread's work."""
        while not stop.wait(self._pause_s):
            keys = self._chance.sample(self._keys, self._batch)
            values = drill_values(keys, time.time_ns() // 1000, self._contract, self._chance)
            while not stop.is_set():
                try:
                    self._store.offer(values)
                except StoreUnavailable:
                    self.written.batches_refused += 1
                    stop.wait(_RETRY_S)
                    continue
                self.written.acknowledged_s.append(time.monotonic())
                self.written.newest.update(values)
                break


@dataclass
class Answers:
    """What a reader got, counted from the moment when the drill says so."""

    total: int = 0
    failed: int = 0
    stale: int = 0
    slowest_s: float = 0.0
    statuses: Counter[int] = field(default_factory=Counter)

    def count(self, status: int, stale: bool, took_s: float) -> None:
        self.total += 1
        self.failed += status != 200
        self.stale += stale
        self.slowest_s = max(self.slowest_s, took_s)
        self.statuses[status] += 1

    def __add__(self, other: Answers) -> Answers:
        return Answers(
            self.total + other.total,
            self.failed + other.failed,
            self.stale + other.stale,
            max(self.slowest_s, other.slowest_s),
            self.statuses + other.statuses,
        )


class Reader:
    """Reads paths at a steady pace until it is told to end."""

    def __init__(self, connect: Callable[[], Reads], paths: Sequence[str], *, pause_s: float, seed: int) -> None:
        self._connect, self._paths, self._pause_s = connect, paths, pause_s
        self._chance = random.Random(seed)
        self.answers = Answers()

    def run(self, stop: threading.Event) -> None:
        """A thread's work."""
        connection = self._connect()
        while not stop.wait(self._pause_s):
            began_s = time.monotonic()
            status, _, stale = connection.get(self._chance.choice(self._paths))
            self.answers.count(status, stale, time.monotonic() - began_s)
