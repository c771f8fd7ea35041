"""Records as they lie there → a table with a column for each field, and what could not become a row of it."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from operator import attrgetter
from typing import Any, Final

import msgspec
import pandas as pd

from instrument_cache.change import is_tombstone, version_of
from instrument_cache.contract import Contract, Field
from instrument_cache.quality.model import SAMPLE_CHARACTERS_MAX, Sample, Tally
from instrument_cache.quality.records import NO_BYTES, Raw
from instrument_cache.reconcile.judge import is_of_the_store

_TYPES: Final[dict[type, frozenset[type]]] = {
    str: frozenset({str, type(None)}),
    int: frozenset({int, type(None)}),
    float: frozenset({float, int, type(None)}),
    bool: frozenset({bool, type(None)}),
}
_CONTENT_HASH: Final = "sha256:"


class Wrong(str):
    """A value that is not of its field's type, as a text that people can read: Great Expectations takes only texts."""

    __slots__ = ()


class Page:
    """A batch: the `table` (its index are the places), its columns as `lists`, and what is no row."""

    def __init__(self, places: list[str], lists: dict[str, list[Any]]) -> None:
        self.places, self.lists = places, lists
        self.unreadable, self.misplaced = Tally(), Tally()
        self.tombstones = self.newest_us = 0

    def table(self) -> pd.DataFrame:
        """One object column per field: nothing is converted, so nothing is hidden."""
        columns = {name: pd.Series(values, index=self.places, dtype=object) for name, values in self.lists.items()}
        return pd.DataFrame(columns, index=self.places)


class PageReader:
    """Makes pages of one dataset. `is_stored`: the records have the form that the store keeps them in."""

    def __init__(self, contract: Contract, fields: Sequence[Field], is_stored: bool) -> None:
        members = [(f"f{number}", Any, None) for number in range(len(fields))]
        rename = {f"f{number}": field.name for number, field in enumerate(fields)}
        kind = msgspec.defstruct("Looked", members, rename=rename, gc=False)
        self._decode: Any = msgspec.json.Decoder(kind).decode
        self._get = attrgetter(*(name for name, *_ in members)) if len(members) > 1 else lambda row: (row.f0,)
        self._fields, self._names = fields, [field.name for field in fields]
        self._key_at = self._names.index(contract.key.name)
        self._is_stored, self._has_times = is_stored, contract.version_unit.is_time

    def page(self, raws: Iterable[Raw]) -> Page:
        """Every record is in the table, or counted as a tombstone or as unreadable."""
        page = Page([], {})
        rows = []
        for raw in raws:
            row = self._row(raw, page)
            if row is not None:
                rows.append(row)
                page.places.append(raw.place)
        columns: Iterable[Iterable[Any]] = zip(*rows, strict=True) if rows else ([] for _ in self._names)
        page.lists = {
            field.name: typed(field, list(column)) for field, column in zip(self._fields, columns, strict=True)
        }
        self._note_misplaced(page)
        return page

    def _row(self, raw: Raw, page: Page) -> tuple[Any, ...] | None:
        payload = raw.payload
        if payload is not None and self._is_stored and is_of_the_store(payload):
            if is_tombstone(payload):
                page.tombstones += 1
                return None
            page.newest_us = max(page.newest_us, version_of(payload) if self._has_times else 0)
        page.newest_us = max(page.newest_us, raw.published_us)
        why, row = self._read(payload)
        page.unreadable.add(1, int(row is None), [Sample(raw.place, why)] if row is None else [])
        return row

    def _read(self, payload: bytes | None) -> tuple[str, tuple[Any, ...] | None]:
        """The row, or why there is none."""
        if payload is None:
            return NO_BYTES, None
        if self._is_stored and not is_of_the_store(payload):
            return f"not written by the store: {shown(payload)}", None
        try:
            return "", self._get(self._decode(payload))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return self._read_loosely(payload)

    def _read_loosely(self, payload: bytes) -> tuple[str, tuple[Any, ...] | None]:
        """NaN and Infinity are no JSON, but a careless writer's: named by their field, they are easier to find."""
        try:
            found = json.loads(payload)
        except (ValueError, RecursionError):
            return f"no JSON: {shown(payload)}", None
        if not isinstance(found, dict):
            return f"no JSON object: {shown(payload)}", None
        return "", tuple(found.get(name) for name in self._names)

    def _note_misplaced(self, page: Page) -> None:
        """A row without a key, or kept under a hash of its content, has no place of its own."""
        keys = page.lists[self._names[self._key_at]]
        begin = len(page.places[0].partition(":")[0]) + 1 if self._is_stored and page.places else 0
        wrong = [
            Sample(place, str(key)[:SAMPLE_CHARACTERS_MAX])
            for place, key in zip(page.places, keys, strict=True)
            if place[begin:] != key and key is not None and not place.startswith(_CONTENT_HASH)
        ]
        page.misplaced.add(len(keys), len(wrong), wrong)


def typed(field: Field, values: list[Any]) -> list[Any]:
    """The values, those of another type than the field's as `Wrong`."""
    allowed = _TYPES[field.type]
    kinds = set(map(type, values))
    if kinds <= allowed and float not in kinds:
        return values
    return [value if type(value) in allowed and _is_finite(value) else Wrong(_named(value)) for value in values]


def _is_finite(value: Any) -> bool:
    return type(value) is not float or math.isfinite(value)


def _named(value: Any) -> str:
    return f"{value!r} ({type(value).__name__})"[:SAMPLE_CHARACTERS_MAX]


def shown(payload: bytes) -> str:
    """Bytes as a text for people, cut."""
    return payload[:SAMPLE_CHARACTERS_MAX].decode(errors="backslashreplace")
