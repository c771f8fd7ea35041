"""Random histories of a few instruments: newer, older, repeated and tied changes, deletions, and what must be rejected.

The same seed gives the same history. It is what the fault tests write to Kafka and what the model streams.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Final, NamedTuple
from zlib import crc32

from local_stack.synthetic import synthetic_cusip
from tests.faults.expected import LogRecord

# A clock that is some minutes fast. Far from the contract's limit, also if all clocks are five minutes fast: whether
# a record at the limit is taken would depend on when it is applied.
_AHEAD_US: Final = 200_000_000
_FAR_AHEAD_US: Final = 86_400_000_000
_STEP_US: Final = 1_000
_KINDS: Final = {
    "put": 44, "older": 12, "again": 8, "tie": 8, "delete": 10, "old_after_delete": 6, "ahead": 2, "bad": 8, "null": 2,
}  # fmt: skip


class Message(NamedTuple):
    """Kafka key and value."""

    key: bytes
    value: bytes | None


class History:
    """Changes of `keys` instruments from number `start` on; versions begin at `start_us` and grow."""

    def __init__(self, seed: int, start_us: int, keys: int = 60, start: int = 0) -> None:
        self._chance = random.Random(seed)
        self._now_us = start_us
        self._cusips = [synthetic_cusip(start + number) for number in range(keys)]
        self._newest: dict[str, int] = {}
        self._last: dict[str, bytes] = {}
        self._count = 0

    def messages(self, count: int) -> Iterator[Message]:
        for kind in self._chance.choices(list(_KINDS), list(_KINDS.values()), k=count):
            yield self.next(kind)

    def next(self, kind: str | None = None, now_us: int | None = None) -> Message:
        """One more message; by default of any kind, and a step later than the one before."""
        self._now_us = now_us or self._now_us + _STEP_US
        self._count += 1
        cusip = self._chance.choice(self._cusips)
        kind = kind or self._chance.choices(list(_KINDS), list(_KINDS.values()))[0]
        return Message(cusip.encode(), self._value(kind, cusip))

    def _value(self, kind: str, cusip: str) -> bytes | None:
        newest = self._newest.get(cusip, self._now_us)
        if kind == "null":
            return None
        if kind == "bad":
            return self._bad(cusip)
        if kind == "again" and cusip in self._last:
            return self._last[cusip]
        if kind == "delete":
            return self._change("delete", newest, {"cusip": cusip})
        if kind in ("older", "old_after_delete"):
            return self._put(cusip, newest - self._chance.randrange(1, 50 * _STEP_US))
        if kind == "tie":
            return self._put(cusip, newest)
        self._newest[cusip] = max(newest, self._now_us + (_AHEAD_US if kind == "ahead" else 0))
        self._last[cusip] = self._put(cusip, self._newest[cusip])
        return self._last[cusip]

    def _put(self, cusip: str, version: int) -> bytes:
        row: dict[str, object] = {"cusip": cusip, "name": f"name {self._chance.randrange(10**6)}", "unknown": [1, {}]}
        if self._chance.random() < 0.5:
            row["pme"] = f"PME-{self._chance.randrange(40)}"
        return self._change("put", version, row)

    def _change(self, op: str, version: int, record: dict[str, object]) -> bytes:
        origin = {"name": "test", "position": self._count, "timestamp": self._now_us, "received_at": self._now_us}
        return json.dumps({"op": op, "version": version, "source": origin, "record": record}).encode()

    def _bad(self, cusip: str) -> bytes:
        """One of the ways in which a record can be invalid for good."""
        good = self._put(cusip, self._now_us)
        wrong = cusip[:-1] + str((int(cusip[-1]) + 1) % 10)
        return self._chance.choice(
            [
                good[: self._chance.randrange(len(good) - 1)],
                good.replace(cusip.encode(), wrong.encode()),
                self._change("put", self._now_us + _FAR_AHEAD_US, {"cusip": cusip}),
                self._change("zap", self._now_us, {"cusip": cusip}),
                self._change("put", 12, {"cusip": cusip}),
                good.replace(b'"name "', b'"\xff"') + b"\xff",
                self._change("put", self._now_us, {"cusip": cusip, "summary": "x" * 70_000}),
            ]
        )


def partition_of(key: bytes, partitions: int) -> int:
    """The same key always goes to the same partition."""
    return crc32(key) % partitions


def log_of(messages: Iterator[Message], partitions: int) -> list[list[LogRecord]]:
    """A log with the messages in the order given: one list of records per partition."""
    log: list[list[LogRecord]] = [[] for _ in range(partitions)]
    for message in messages:
        partition = partition_of(message.key, partitions)
        log[partition].append(LogRecord(partition, len(log[partition]), message.value))
    return log
