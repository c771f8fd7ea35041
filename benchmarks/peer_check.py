"""What another sink left in Redis, judged: which keys hold the newest change of their instrument, and which do not.

A sink that passes bytes through stores the change record itself, so the version that a reader gets can be told.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

import redis

from instrument_cache.change import is_tombstone, stored_value, version_of
from instrument_cache.contract import Contract
from instrument_cache.projection import projector
from instrument_cache.records import parse_record

_SCAN_PAGE: Final = 1000


class Held(NamedTuple):
    """What a reader gets under one key: the change's kind and version, and the bytes that our store would hold of it.

    `op` is "" for what is no change record of this key. `stored` is None if the sink took the record apart.
    """

    op: str
    version: int
    stored: bytes | None


BROKEN: Final = Held("", 0, None)


class PeerCheck(NamedTuple):
    """Keys by what is wrong with them; each is counted once.

    older: an older version stands where a newer one was sent; alive: deleted, and yet a value is read;
    deletion_as_value: deleted, and the deletion's own record is what is read; broken: a record that is no change of
    this key is read; other: the newest version with other bytes (two changes of one version); missing. `own` are keys
    that no record is about, such as those in which a sink keeps its offsets: they are not wrong.
    """

    right: int = 0
    older: int = 0
    alive: int = 0
    deletion_as_value: int = 0
    broken: int = 0
    other: int = 0
    missing: int = 0
    own: int = 0

    @property
    def wrong(self) -> int:
        return sum(self) - self.right - self.own


class RecordJudge:
    """Reads what a sink stored under an instrument's key."""

    def __init__(self, contract: Contract) -> None:
        self._key = contract.key.name.encode()
        self._project = projector(contract)

    def held(self, key: str, value: bytes) -> Held:
        """The bytes of a change record, as they were in Kafka."""
        op, version, row = parse_record(value)
        if not version:
            return BROKEN
        if op != "put":
            return Held(op, version, None)
        try:
            payload = self._project(row, version)
        except ValueError:
            return BROKEN
        own = b'"%b":"%b"' % (self._key, key.encode())
        return Held(op, version, stored_value(version, payload)) if own in payload else BROKEN


def compare_peer(expected: Mapping[str, bytes], held: Iterable[tuple[str, Held]]) -> PeerCheck:
    """`expected` is {instrument: the bytes that our store must hold}. An instrument may come twice, as in a scan."""
    verdicts = {key: verdict(expected.get(key), what) for key, what in held}
    counts = dict.fromkeys(PeerCheck._fields, 0)
    for found in verdicts.values():
        counts[found] += 1
    counts["missing"] = sum(key not in verdicts and not is_tombstone(stored) for key, stored in expected.items())
    counts["right"] += sum(key not in verdicts and is_tombstone(stored) for key, stored in expected.items())
    return PeerCheck(**counts)


def verdict(expected: bytes | None, held: Held) -> str:
    """The field of PeerCheck in which a key belongs that is there."""
    if expected is None:
        return "own"
    if not held.op:
        return "broken"
    if is_tombstone(expected):
        return "alive" if held.op == "put" else "deletion_as_value"
    if held.version < version_of(expected):
        return "older"
    return "right" if held.stored in (None, expected) else "other"


def scan_peer(client: redis.Redis, judge: RecordJudge) -> Iterator[tuple[str, Held]]:
    """Every key of a sink's Redis that may be an instrument: strings as they are, hashes by two of their fields."""
    page: list[bytes] = []
    for key in client.scan_iter(count=_SCAN_PAGE):
        page.append(key)
        if len(page) == _SCAN_PAGE:
            yield from read_peer(client, judge, page)
            page = []
    yield from read_peer(client, judge, page)


def read_peer(client: Any, judge: RecordJudge, keys: list[bytes]) -> Iterator[tuple[str, Held]]:
    """Those of `keys` that exist. The instrument is what follows the last colon: some sinks put a prefix before it."""
    values = client.mget(keys) if keys else []
    others = [key for key, value in zip(keys, values, strict=True) if value is None]
    pipeline = client.pipeline(transaction=False)
    for key in others:
        pipeline.hmget(key, "op", "version")
    hashes = dict(zip(others, pipeline.execute(raise_on_error=False), strict=True)) if others else {}
    for key, value in zip(keys, values, strict=True):
        instrument = key.decode(errors="replace").rpartition(":")[2]
        if value is not None:
            yield instrument, judge.held(instrument, value)
        elif (fields := hashes[key]) and isinstance(fields, list) and any(fields):
            yield instrument, from_fields(*fields)


def from_fields(op: bytes | None, version: bytes | None) -> Held:
    """A change record that the sink took apart into a hash."""
    if op is None or version is None or not version.isdigit():
        return BROKEN
    return Held(op.decode(errors="replace"), int(version), None)
