"""Decides what a key is: equal, on its way, or different. docs/reconcile.md gives the reasons for each rule.

The cache was read before the source. So what is newer in the cache than in the source is no lag.
"""

from __future__ import annotations

from typing import NamedTuple

from instrument_cache.change import VERSION_AT, is_tombstone, version_of
from instrument_cache.reconcile.model import Kind


class Look(NamedTuple):
    """All that is known of one key at the second look.

    `first_version` is what the source had at the first look (0: nothing), `held_before` the version that the cache had
    then, of keys that the source had not. `want` None: the source gives nothing for this key. `overdue`: its time has
    passed, by the row or by the tombstone.
    """

    is_alias: bool
    first_version: int
    held_before: int
    held: bytes | None
    is_foreign: bool
    want: bytes | None
    overdue: bool


def judge(look: Look) -> Kind | None:
    """None: equal, or on its way."""
    if look.is_foreign:
        return Kind.CORRUPT if look.want is not None else Kind.EXTRA
    if look.held == look.want:
        return None
    if look.held is None:
        # A row that came after the first look is on its way.
        return (Kind.WRONG_ALIAS if look.is_alias else Kind.MISSING) if look.first_version else None
    if look.want is None:
        return _unwanted(look, look.held)
    if not is_of_the_store(look.held):
        return Kind.CORRUPT
    return _other_bytes(look, look.held, look.want)


def _other_bytes(look: Look, held: bytes, want: bytes) -> Kind | None:
    if look.first_version <= version_of(held) < version_of(want):
        return None  # the source moved on after the first look, and the stream follows
    if look.is_alias:
        return Kind.WRONG_ALIAS
    if is_tombstone(held):
        return Kind.MISSING
    return Kind.STALE if version_of(held) < version_of(want) else Kind.CORRUPT


def _unwanted(look: Look, held: bytes) -> Kind | None:
    if look.overdue:
        return Kind.EXPIRED
    if not is_of_the_store(held):
        return Kind.CORRUPT if look.is_alias else Kind.EXTRA
    if look.first_version or is_tombstone(held):
        return None  # it was removed after the first look, or is known as removed
    if version_of(held) != look.held_before:
        return None  # it was written after the first look
    return Kind.DANGLING_ALIAS if look.is_alias else Kind.EXTRA


def is_of_the_store(held: bytes) -> bool:
    """True if the bytes begin as stored bytes do."""
    return held.startswith(b'{"v":') and len(held) > VERSION_AT.stop and held[VERSION_AT].isdigit()
