"""The State of the World of one topic, in SQLite: it survives restarts and kill -9."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from instrument_cache.clock import Clock, SystemClock
from instrument_cache.errors import SettingsError
from instrument_cache.source.row_identity import RowReader

# Large pages: a bulk load in any order of keys touches fewer of them. NORMAL leaves each commit to the operating
# system, so it outlives the process; only a power cut may take the last ones. Checkpoints wait for the disk: seldom.
_SCHEMA: Final = """
PRAGMA page_size = 16384;
PRAGMA journal_mode = WAL;
PRAGMA synchronous = NORMAL;
PRAGMA wal_autocheckpoint = 8192;
PRAGMA cache_size = -65536;
CREATE TABLE IF NOT EXISTS state (
    key TEXT PRIMARY KEY, version INTEGER NOT NULL, timestamp INTEGER NOT NULL, position INTEGER NOT NULL,
    deleted INTEGER NOT NULL, payload BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS deleted_state ON state (key) WHERE deleted = 1;
CREATE TABLE IF NOT EXISTS topic (
    name TEXT PRIMARY KEY, key_field TEXT NOT NULL, version_field TEXT NOT NULL,
    timestamp INTEGER NOT NULL, position INTEGER NOT NULL
);
"""
# The state is ordered by what the source itself orders by. At the same version the later wins, but undoes no deletion.
_PUT: Final = """
INSERT INTO state (key, version, timestamp, position, deleted, payload) VALUES (?, ?, ?, ?, 0, ?)
ON CONFLICT (key) DO UPDATE SET
    version = excluded.version, timestamp = excluded.timestamp, position = excluded.position,
    deleted = 0, payload = excluded.payload
WHERE excluded.version > state.version OR (excluded.version = state.version AND state.deleted = 0)
"""
# The removed state's version stays, so that an older row that is published later does not come back.
_DELETE: Final = """
UPDATE state SET deleted = 1, payload = x'', timestamp = ?, position = ? WHERE key = ? AND deleted = 0 RETURNING version
"""
_ROWS: Final = "SELECT key, version, timestamp, position, payload FROM state WHERE deleted = 0"
# Counting all keys reads the key index alone, and counting the deletions theirs: no row is touched.
_COUNT: Final = "SELECT (SELECT count(*) FROM state) - (SELECT count(*) FROM state WHERE deleted = 1)"
_TOPIC: Final = "SELECT key_field, version_field, timestamp, position FROM topic WHERE name = ?"
PAGE_ROWS_MAX: Final = 1_000


class Message(NamedTuple):
    """One publish or delete, or a row of the state. `version` orders states; a `payload` of None marks a delete."""

    key: str
    version: int
    timestamp: int
    position: int
    payload: bytes | None


class SowStore:
    """One topic's rows, markers of deletions, and the last position and timestamp. For one thread of one process."""

    def __init__(self, path: Path, topic: str, key_field: str, version_field: str, clock: Clock | None = None) -> None:
        """Open or make the file. Raises SettingsError if its rows were keyed by other fields."""
        self.topic = topic
        self._reader = RowReader(key_field, version_field)
        self._clock = clock or SystemClock()
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.executescript(_SCHEMA)
        self._db.execute("INSERT OR IGNORE INTO topic VALUES (?, ?, ?, 0, 0)", (topic, key_field, version_field))
        self._timestamp: int
        self.position: int
        *fields, self._timestamp, self.position = self._db.execute(_TOPIC, (topic,)).fetchone()
        if fields != [key_field, version_field]:
            raise SettingsError(
                f"{path} holds rows keyed by {fields[0]!r} and ordered by {fields[1]!r}, not {key_field!r} and "
                f"{version_field!r}: start with those fields, or with another --data-dir"
            )

    def publish(self, rows: Sequence[bytes]) -> list[Message]:
        """Keep rows in one transaction and return a message for each, also for those older than the state."""
        first = self._next_timestamp()
        messages = [self._message(row, first + i, self.position + 1 + i) for i, row in enumerate(rows)]
        with self._transaction(messages):
            self._db.executemany(_PUT, messages)
        return messages

    def delete(self, keys: Iterable[str]) -> tuple[list[Message], list[str]]:
        """Remove rows in one transaction. Returns a message for each row and the keys that had none."""
        messages: list[Message] = []
        unknown: list[str] = []
        first = self._next_timestamp()
        with self._transaction(messages):
            for key in dict.fromkeys(keys):
                at, position = first + len(messages), self.position + 1 + len(messages)
                version = self._db.execute(_DELETE, (at, position, key)).fetchall()
                if version:
                    messages.append(Message(key, version[0][0], at, position, None))
                else:
                    unknown.append(key)
        return messages, unknown

    def page(self, after: str, bytes_max: int) -> list[Message]:
        """The next rows in the order of keys: as many as fit into `bytes_max`, and at least one if there is any."""
        rows = self._db.execute(f"{_ROWS} AND key > ? ORDER BY key LIMIT {PAGE_ROWS_MAX}", (after,))
        page: list[Message] = []
        left = bytes_max
        while left > 0 and (row := rows.fetchone()):
            page.append(Message(*row))
            left -= len(row[-1])
        rows.close()
        return page

    def get(self, key: str) -> Message | None:
        """The row of a key, or None."""
        row = self._db.execute(f"{_ROWS} AND key = ?", (key,)).fetchone()
        return Message(*row) if row else None

    def pages_of(self, keys: Iterable[str], bytes_max: int) -> Iterator[list[Message]]:
        """The rows of these keys that are held, each once; a page ends when it has `bytes_max` of payload."""
        page: list[Message] = []
        held_bytes = 0
        for key in dict.fromkeys(keys):
            if message := self.get(key):
                page.append(message)
                held_bytes += len(message.payload or b"")
            if held_bytes >= bytes_max:
                yield page
                page, held_bytes = [], 0
        yield page

    def count(self) -> int:
        """The number of rows."""
        rows: int = self._db.execute(_COUNT).fetchone()[0]
        return rows

    def close(self) -> None:
        """Fold the log into the file and let it go."""
        self._db.close()

    def _message(self, row: bytes, timestamp: int, position: int) -> Message:
        key, version = self._reader.read(row)
        return Message(key, timestamp if version is None else version, timestamp, position, row)

    def _next_timestamp(self) -> int:
        return max(self._timestamp + 1, self._clock.now_us())  # grows even if the clock goes back

    @contextmanager
    def _transaction(self, messages: list[Message]) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            if messages:
                last = messages[-1]
                self._db.execute("UPDATE topic SET timestamp = ?, position = ?", (last.timestamp, last.position))
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise
        if messages:
            self._timestamp, self.position = last.timestamp, last.position
