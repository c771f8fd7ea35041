"""Records of the log → events that show what the cache holds now."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from typing import Final, Protocol

from instrument_cache.canary import is_canary
from instrument_cache.contract import Contract
from instrument_cache.errors import IdentifierError, StoreUnavailable
from instrument_cache.identifiers import canonical_for
from instrument_cache.store.interface import Position
from lookup_app.changes.cursor import Cursor, mark_text
from lookup_app.changes.events import Changes, Event, Kind
from lookup_app.changes.records import Record
from lookup_app.entries import instrument_of
from lookup_app.problems import Problem, ProblemType

# One command reads them all; it holds other readers up for less than a millisecond.
READ_KEYS_MAX: Final = 500


class AppliedStore(Protocol):
    """The part of `VersionedStore` that tells what was applied. Both raise StoreUnavailable."""

    def get_many(self, keys: Sequence[str]) -> list[bytes | None]: ...

    def positions(self, partitions: Sequence[int]) -> dict[int, Position]: ...


class EventMaker:
    """Makes the events of one dataset. Safe to share between threads if the store is.

    `turn` is to be held from the reading of states until they are told to those who are live, and while states are read
    for others: so nobody is told a state, becomes live, and is then told an older one that was read before.
    """

    def __init__(self, store: AppliedStore, contract: Contract) -> None:
        self.turn = threading.Lock()
        self._store = store
        self._redis_key = contract.redis_key
        self._canonical = canonical_for(contract.key)

    def changes(self, records: Sequence[Record], before: Cursor) -> Changes:
        """The events of records that were applied, behind `before`. Raises StoreUnavailable."""
        newest = {record.key: record for record in records if record.key and not is_canary(record.key)}
        states = self._states(newest)
        self._check_applied(newest.values())
        walk = _Walk(before)
        events: list[Event] = []
        due: list[Record] = []
        for record in records:
            cursor = walk.behind(record)
            if newest.get(record.key) is record and (event := self._event(record.key, states, cursor)):
                events.append(event)
                due.append(record)
        return Changes(events, due, records, walk.cursor())

    def present(self, ids: Iterable[str], cursor: Cursor) -> list[Event]:
        """One event per id with its present state; none for what the cache does not hold. Raises StoreUnavailable."""
        keys = [key.encode() for key in ids]
        states, text = self._states(keys), cursor.text()
        events = [self._event(key, states, text) for key in keys if states[key] is not None]
        return [event for event in events if event is not None]

    def _states(self, keys: Iterable[bytes]) -> dict[bytes, bytes | None]:
        wanted = [(key, text) for key in keys if (text := _text(key)) is not None]
        found: dict[bytes, bytes | None] = {}
        for at in range(0, len(wanted), READ_KEYS_MAX):
            part = wanted[at : at + READ_KEYS_MAX]
            values = self._store.get_many([self._redis_key(text) for _, text in part])
            found.update(zip((key for key, _ in part), values, strict=True))
        return found

    def _check_applied(self, records: Iterable[Record]) -> None:
        """A master that took over may have forgotten what the one before had applied: then it was read too early."""
        needed: dict[int, int] = {}
        for record in records:
            needed[record.partition] = max(needed.get(record.partition, -1), record.offset)
        for partition, position in self._store.positions(list(needed)).items():
            if position.next <= needed[partition]:
                raise StoreUnavailable(
                    f"Redis went back to offset {position.next} of partition {partition} while it was read"
                )

    def _event(self, raw_key: bytes, states: dict[bytes, bytes | None], cursor: str) -> Event | None:
        """The event of one key; None for what is no instrument: a rejected key, or bytes that cannot be read."""
        if raw_key not in states:
            return None
        key, stored = raw_key.decode(), states[raw_key]
        try:
            instrument = instrument_of(key, stored)
        except Problem as problem:
            return self._gone(key, problem, cursor)
        if b"\n" in instrument.body or b"\r" in instrument.body:  # not written by the product; it would end the line
            return None
        return Event(Kind.PUT, cursor, key, instrument.version, instrument.body)

    def _gone(self, key: str, problem: Problem, cursor: str) -> Event | None:
        if problem.kind is ProblemType.UNREADABLE_ENTRY or not self._is_canonical(key):
            return None
        version = problem.extra.get("version")
        return Event(Kind.DELETE, cursor, key, version if isinstance(version, int) else None)

    def _is_canonical(self, key: str) -> bool:
        try:
            return self._canonical(key) == key
        except IdentifierError:
            return False


class _Walk:
    """The cursor behind one record after the other, as text."""

    def __init__(self, start: Cursor) -> None:
        self._start = start
        self._offsets = dict(sorted(start.offsets.items()))
        self._parts = {at: f"{at}.{offset}" for at, offset in self._offsets.items()}
        self._tail = mark_text(start.mark)

    def behind(self, record: Record) -> str:
        at, after = record.partition, record.offset + 1
        if after > self._offsets[at]:
            self._offsets[at] = after
            self._parts[at] = f"{at}.{after}"
        return f"{self._start.topic}_{'-'.join(self._parts.values())}{self._tail}"

    def cursor(self) -> Cursor:
        return Cursor(self._start.topic, dict(self._offsets), self._start.mark)


def _text(key: bytes) -> str | None:
    try:
        return key.decode()
    except UnicodeDecodeError:
        return None
