"""What a comparison finds: kinds of differences, and what is counted."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from enum import StrEnum
from typing import Final

import msgspec


class Kind(StrEnum):
    """How a key of the cache differs from the source. Each is a wrong answer to a reader, but the last."""

    MISSING = "missing"  # the source has the row, the cache has nothing or a deletion
    STALE = "stale"  # an older version than the source had at the first look
    EXTRA = "extra"  # the source has no such row
    CORRUPT = "corrupt"  # no bytes of the store, or not those of the version that they name
    WRONG_ALIAS = "wrong_alias"  # an alias is missing, old, or leads to another record than the source's
    EXPIRED = "expired"  # still there although its time has passed
    DANGLING_ALIAS = "dangling_alias"  # leads to a record that does not bear it: readers get "unknown", as they should


# What the share of equal keys counts.
WRONG: Final = tuple(kind for kind in Kind if kind is not Kind.DANGLING_ALIAS)
DELETING: Final = (Kind.EXTRA, Kind.EXPIRED)

# (phase, done, total or None)
Progress = Callable[[str, int, int | None], None]


class Difference(msgspec.Struct, frozen=True, gc=False):
    """One key that differs. `owners` are the source's keys that decide on it; `seen` and `want` are `digest`s.

    `since_us` is since when it may differ, microseconds since 1970.
    """

    key: str
    kind: Kind
    owners: tuple[str, ...]
    seen: str
    want: str
    since_us: int


class Sample(msgspec.Struct):
    """A difference as people look at it: the bytes as text, shortened."""

    key: str
    kind: Kind
    before: str | None
    source: str | None
    after: str | None = None


class Counts(msgspec.Struct):
    """What one comparison has looked at. `cached_keys` are records and aliases in Redis, without tombstones."""

    rows: int = 0
    rejected_rows: int = 0
    expected_keys: int = 0
    cached_keys: int = 0
    tombstones: int = 0
    unreadable_keys: int = 0
    looked_at_twice: int = 0


def digest(value: bytes | None) -> str:
    """Short name of bytes: the same bytes have the same; "" for None."""
    return "" if value is None else hashlib.blake2b(value, digest_size=12).hexdigest()
