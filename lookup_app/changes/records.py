"""What the change stream needs to know of a Kafka record: where it stands and whose it is."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Final, NamedTuple

from lookup_app.changes.cursor import Cursor

TAIL_RECORDS_MAX: Final = 50_000


class Record(NamedTuple):
    """One record of the log, without its value: an event shows what the cache holds, not what a record said."""

    partition: int
    offset: int
    key: bytes


class Tail:
    """The newest records that were told, so that who was cut off a moment ago resumes without Kafka.

    Bounded in records, shared out evenly between the partitions.
    """

    def __init__(self, records_max: int = TAIL_RECORDS_MAX) -> None:
        self._records_max = records_max
        self._starts: dict[int, int] = {}
        self._held: dict[int, deque[Record]] = {}

    def restart(self, cursor: Cursor) -> None:
        """Forget all; what comes next begins at `cursor`."""
        self._starts = dict(cursor.offsets)
        self._held = {at: deque() for at in self._starts}

    def add(self, records: Iterable[Record]) -> None:
        """Remember records, in each partition behind those before."""
        share = max(1, self._records_max // max(1, len(self._held)))
        for record in records:
            held = self._held[record.partition]
            held.append(record)
            if len(held) > share:
                self._starts[record.partition] = held.popleft().offset + 1

    def since(self, cursor: Cursor) -> list[Record] | None:
        """The records from `cursor` on, per partition in order; None if it reaches further back than the tail."""
        found: list[Record] = []
        for at, start in self._starts.items():
            offset = cursor.offsets.get(at, 0)
            if offset < start:
                return None
            newer: list[Record] = []
            for record in reversed(self._held[at]):
                if record.offset < offset:
                    break
                newer.append(record)
            found += reversed(newer)
        return found
