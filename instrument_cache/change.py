"""The change record: what travels through Kafka, and how it becomes the bytes that the store compares.

    {"op":"put","version":1763674000123456,"source":{"name":…,"position":…,"timestamp":…,"received_at":…},"record":{"cusip":…,…}}

The bytes of a stored value carry its whole rank. A value is `{"v":<16 digits>,"cusip":…}`, a tombstone
`{"v":<16 digits>,"~deleted_at":…}`. Compared as bytes, the larger version wins because it has always 16 digits; at
equal version a tombstone wins because `~` follows every letter; and otherwise the larger bytes win. So the order is
total and does not depend on arrival: the store keeps the largest bytes that it was ever offered.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Any, Final

import msgspec

from instrument_cache.clock import Clock, SystemClock
from instrument_cache.contract import Contract
from instrument_cache.errors import IdentifierError, RejectedChange
from instrument_cache.identifiers import check_for
from instrument_cache.projection import encode, record_type

VERSION_MIN: Final = 10**15
VERSION_MAX: Final = 10**16 - 1
VERSION_AT: Final = slice(5, 21)
_TOMBSTONE_MARK: Final = b',"~deleted_at":'


class Outcome(StrEnum):
    """What became of one change. `in = applied + duplicate + stale + superseded + rejected`."""

    APPLIED = "applied"
    DUPLICATE = "duplicate"
    STALE = "stale"
    SUPERSEDED = "superseded"
    REJECTED = "rejected"


class Change(msgspec.Struct, frozen=True, gc=False):
    """A valid change: the identifier, the bytes to store, its aliases as (prefix, id) and its expiry (0: never)."""

    key: str
    stored: bytes
    aliases: tuple[tuple[str, str], ...]
    expires_at_ms: int


class _Origin(msgspec.Struct, gc=False):
    timestamp: int = 0
    received_at: int = 0


def stored_value(version: int, payload: bytes) -> bytes:
    """`{"v":…` in front of a payload `{…}` that is not empty."""
    return b'{"v":%d,%b' % (version, payload[1:])


def stored_tombstone(version: int, deleted_at_us: int) -> bytes:
    """The bytes that stand for "deleted": they win over every value of the same version."""
    return b'{"v":%d,"~deleted_at":%d}' % (version, deleted_at_us)


def stored_alias(stored: bytes, key_name: bytes, key: str) -> bytes:
    """The bytes behind an alias of `stored`: a hint that leads to the record's key, under the same version."""
    return b'%b,"%b":%b}' % (stored[: VERSION_AT.stop], key_name, encode(key))


def version_of(stored: bytes) -> int:
    """The version that stored bytes carry. Raises ValueError if they are not of the store."""
    return int(stored[VERSION_AT])


def is_tombstone(stored: bytes) -> bool:
    """True for the bytes of a deletion."""
    return stored.startswith(_TOMBSTONE_MARK, VERSION_AT.stop)


class ChangeDecoder:
    """Decodes and validates change records of one contract."""

    def __init__(self, contract: Contract, clock: Clock | None = None) -> None:
        envelope = msgspec.defstruct(
            "ChangeRecord",
            [
                ("op", str),
                ("version", int),
                ("record", record_type(contract)),
                ("source", _Origin, msgspec.field(default_factory=_Origin)),
            ],
            gc=False,
        )
        self._decode: Callable[[bytes], Any] = msgspec.json.Decoder(envelope).decode
        self._contract = contract
        self._clock = clock or SystemClock()
        self._key = contract.key.name
        self._version_field = contract.version_field.name
        self._check_key = check_for(contract.key) or (lambda value: value)
        self._aliases = [(a.prefix, a.field.name, check_for(a.field) or (lambda v: v)) for a in contract.aliases]
        self._bytes_max = contract.record_bytes_max
        self.version_max = VERSION_MAX
        self.start_batch()

    def start_batch(self) -> None:
        """Read the clock once for many records: versions beyond the contract's margin are rejected."""
        self.version_max = min(VERSION_MAX, self._clock.now_us() + self._contract.version_ahead_s_max * 1_000_000)

    def decode(self, value: bytes) -> Change:
        """One Kafka value → Change. Raises RejectedChange, whose code and text say why."""
        if len(value) > self._bytes_max:
            raise RejectedChange("too_large", f"{len(value)} bytes; the contract allows {self._bytes_max}")
        try:
            envelope = self._decode(value)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise _undecodable(value, error) from None
        version: int = envelope.version
        if not VERSION_MIN <= version <= self.version_max:
            raise self._bad_version(version)
        record = envelope.record
        key = getattr(record, self._key)
        if key is None:
            raise RejectedChange("missing_key", f"the record has no {self._key!r}; every record needs one")
        try:
            self._check_key(key)
            if envelope.op == "put":
                return self._put(key, version, record)
        except IdentifierError as error:
            raise RejectedChange(f"invalid_{error.kind.lower()}", str(error)) from None
        if envelope.op == "delete":
            return self._delete(key, version, envelope.source.timestamp or envelope.source.received_at)
        raise RejectedChange("unknown_op", f"op is {envelope.op[:40]!r}; it must be 'put' or 'delete'")

    def _put(self, key: str, version: int, record: msgspec.Struct) -> Change:
        if getattr(record, self._version_field) is None:
            setattr(record, self._version_field, version)
        aliases: tuple[tuple[str, str], ...] = ()
        for prefix, field, check in self._aliases:
            alias = getattr(record, field)
            if alias is not None:
                aliases += ((prefix, check(alias)),)
        ttl_s = self._contract.ttl_s
        expires_at_ms = 0 if ttl_s is None else version // 1000 + ttl_s * 1000
        return Change(key, stored_value(version, encode(record)), aliases, expires_at_ms)

    def _delete(self, key: str, version: int, happened_at_us: int) -> Change:
        # The record itself says when the deletion happened, so that a replay cannot prolong the memory of it. A delete
        # carries the version of the state that it removes, which may be years old: its age must not count.
        deleted_at_us = happened_at_us if VERSION_MIN <= happened_at_us <= VERSION_MAX else version
        expires_at_ms = deleted_at_us // 1000 + self._contract.tombstone_ttl_s * 1000
        return Change(key, stored_tombstone(version, deleted_at_us), (), expires_at_ms)

    def _bad_version(self, version: int) -> RejectedChange:
        if VERSION_MIN <= version <= VERSION_MAX:
            ahead = self._contract.version_ahead_s_max
            return RejectedChange("version_in_future", f"version {version} is more than {ahead} s ahead of the clock")
        return RejectedChange("invalid_version", f"version {version} has not 16 digits (microseconds since 1970)")


def _undecodable(value: bytes, error: Exception) -> RejectedChange:
    """Tell text that is not JSON from JSON that is not a change record."""
    if isinstance(error, RecursionError):
        return RejectedChange("too_deep", "the JSON is nested too deeply to be read")
    if not isinstance(error, msgspec.ValidationError):
        return RejectedChange("malformed_json", f"{error}; the value begins with {value[:40]!r}")
    text = str(error)
    if "`$.version`" in text or "field `version`" in text:
        return RejectedChange("invalid_version", f"{text}; a version is a whole number of 16 digits")
    return RejectedChange("invalid_record", text)
