"""Listeners that are brought forward together, and how far they are."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence

from instrument_cache.kafka import Span
from lookup_app.changes.client import Client
from lookup_app.changes.cursor import Cursor, earliest
from lookup_app.changes.records import Record

Past = Generator[list[Record], None, None]


class Group:
    """`starts` is where each client was, `at` how far the group is, from the lowest place of any of them.

    A client gets what lies behind its own start; the ids of its events may lie before it, which costs repetitions if it
    is cut off just then, and never a gap.
    """

    def __init__(self, starts: dict[Client, Cursor]) -> None:
        self.starts = starts
        self.at = earliest(starts.values())
        self.past: Past | None = None
        self._past_end = self.at

    def fit(self, cursor: Cursor | None) -> bool:
        """Forget who is gone, and learn of partitions that were added. False if nobody is left."""
        self.starts = {client: start for client, start in self.starts.items() if client.is_open}
        if cursor is not None and cursor.topic == self.at.topic and len(cursor.offsets) != len(self.at.offsets):
            self.at = self.at.within(cursor.offsets)
            self.starts = {client: start.within(cursor.offsets) for client, start in self.starts.items()}
        return bool(self.starts)

    def wanted(self, records: Sequence[Record]) -> Sequence[Record]:
        """What any of them wants to know of; every record if one of them wants all."""
        if not all(client.ids for client in self.starts):
            return records
        ids = {key.encode() for client in self.starts for key in client.ids}
        return [record for record in records if record.key in ids]

    def advance(self, records: Sequence[Record]) -> None:
        """All of these were told."""
        self.at = self.at.advanced({record.partition: record.offset + 1 for record in records})

    def lost(self, spans: Mapping[int, Span]) -> list[Client]:
        """The clients whose start the log does not hold any more."""
        return [client for client, start in self.starts.items() if not _is_kept(start, spans)]

    def begin_past(self, past: Past, end: Cursor) -> None:
        """Read the log itself, up to `end`."""
        self.past, self._past_end = past, end

    def finish_past(self) -> None:
        """All of it was told, what compaction took away included."""
        self.at = self.at.advanced(self._past_end.offsets)
        self.past = None

    def give_up_past(self) -> Past | None:
        """The reading that was under way; to be closed."""
        past, self.past = self.past, None
        return past


def _is_kept(start: Cursor, spans: Mapping[int, Span]) -> bool:
    return all(at in spans and spans[at].start <= offset <= spans[at].end for at, offset in start.offsets.items())
