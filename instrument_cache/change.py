"""The change record: what travels through Kafka, and how it becomes the bytes that the store compares.

    {"op":"put","version":1763674000123456,"source":{"name":…,"position":…,"timestamp":…,"received_at":…},"record":{…}}

as JSON, or as Avro behind a zero byte (`instrument_cache.avro`). `op` is put, delete, or canary: a sign of life that
the feed writes to each partition.

The bytes of a stored value carry its whole rank. A value is `{"v":<16 digits>,"cusip":…}`, a tombstone
`{"v":<16 digits>,"~deleted_at":…}`. Compared as bytes, the larger version wins because it has always 16 digits; at
equal version a tombstone wins because `~` follows every letter; and otherwise the larger bytes win. So the order is
total and does not depend on arrival: the store keeps the largest bytes that it was ever offered.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import StrEnum
from operator import attrgetter
from typing import Any, Final

import msgspec

from instrument_cache.avro import MAGIC, AvroChangeDecoder
from instrument_cache.clock import Clock, SystemClock
from instrument_cache.contract import Contract
from instrument_cache.contract.model import WIRE_VERSION_MAX, WIRE_VERSION_MIN
from instrument_cache.errors import IdentifierError, RejectedChange
from instrument_cache.identifiers import check_for
from instrument_cache.plain_puts import Aliases, Origin, PlainPuts, Puts, Valid
from instrument_cache.projection import encode, stored_type

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
    """A valid change: the identifier, the bytes to store, its aliases as (prefix, id) and its expiry (0: never).

    `origin` is when the source says that it happened and when the feed had it. A canary has no identifier.
    """

    key: str
    stored: bytes
    aliases: Aliases
    expires_at_ms: int
    origin: Origin


def stored_value(version: int, payload: bytes) -> bytes:
    """`{"v":…` in front of a payload `{…}` that is not empty: what the decoder makes of a put, made of its parts."""
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
    """Decodes and validates change records of one contract.

    `avro` reads the values that begin with a zero byte; without it they are rejected, as there is no schema registry.
    """

    def __init__(self, contract: Contract, clock: Clock | None = None, avro: AvroChangeDecoder | None = None) -> None:
        self._envelope = msgspec.defstruct(
            "ChangeRecord",
            [
                ("op", str),
                ("version", int),
                ("record", stored_type(contract)),
                ("source", Origin, msgspec.field(default_factory=Origin)),
            ],
            gc=False,
        )
        self._json: Callable[[bytes], Any] = msgspec.json.Decoder(self._envelope).decode
        self._avro = (avro or AvroChangeDecoder(contract, None)).decode
        self._contract = contract
        self._clock = clock or SystemClock()
        self._key = attrgetter(contract.key.name)
        self._check_key = check_for(contract.key) or (lambda value: value)
        self._version_field = contract.version_field.name
        self._own_version = attrgetter(self._version_field)
        self._aliases = [
            (a.prefix, attrgetter(a.field.name), check_for(a.field) or (lambda v: v)) for a in contract.aliases
        ]
        self._required = contract.required
        self._bytes_max = contract.record_bytes_max
        # A version that is a position says nothing about when.
        self._ttl_ms = contract.ttl_s * 1000 if contract.ttl_s and contract.version_unit.is_time else 0
        self._puts = PlainPuts(contract, self._json, self._ttl_ms)
        self.version_max = WIRE_VERSION_MAX
        self.start_batch()

    def start_batch(self) -> None:
        """Read the clock once for many records: versions beyond the contract's margin are rejected."""
        if self._contract.version_unit.is_time:
            self.version_max = min(
                WIRE_VERSION_MAX, self._clock.now_us() + self._contract.version_ahead_s_max * 1_000_000
            )

    def plain_puts(self, values: Sequence[bytes | None], valid: Valid) -> Puts:
        """The ordinary puts among many values, whose keys `valid` checks together; `decode` must look at the others.

        It judges as `decode` does: nearly all records of a stream are such puts.
        """
        return self._puts.among(values, valid, self.version_max)

    def _stored(self, version: int, record: Any) -> tuple[bytes, Aliases, int]:
        """Bytes, aliases and expiry of a put. Raises IdentifierError (an alias) or RejectedChange (a missing field)."""
        aliases: Aliases = ()
        for prefix, alias_of, check in self._aliases:
            alias = alias_of(record)
            if alias is not None:
                aliases += ((prefix, check(alias)),)
        for name in self._required:
            if getattr(record, name) is None:
                raise RejectedChange("missing_field", f"the record has no {name!r}, which the contract requires")
        record.v = version
        if self._own_version(record) is None:
            setattr(record, self._version_field, self._contract.version_unit.from_wire(version))
        return encode(record), aliases, version // 1000 + self._ttl_ms if self._ttl_ms else 0

    def decode(self, value: bytes) -> Change:
        """One Kafka value → Change. Raises RejectedChange, whose code and text say why.

        Raises Unavailable, which is no reject, if the schema registry must be asked and does not answer.
        """
        if len(value) > self._bytes_max:
            raise RejectedChange("too_large", f"{len(value)} bytes; the contract allows {self._bytes_max}")
        try:
            envelope = self._json(value)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            envelope = self._not_json(value, error)
        version: int = envelope.version
        if not WIRE_VERSION_MIN <= version <= self.version_max:
            raise self._bad_version(version)
        op, record, origin = envelope.op, envelope.record, envelope.source
        if op == "canary":
            # Whoever knows the partition writes it behind.
            return Change("", b'{"v":%d,"p":' % version, (), 0, origin)
        key: str | None = self._key(record)
        if key is None:
            name = self._contract.key.name
            raise RejectedChange("missing_key", f"the record has no {name!r}; every record needs one")
        try:
            self._check_key(key)
            if op == "put":
                return Change(key, *self._stored(version, record), origin)
        except IdentifierError as error:
            raise RejectedChange(f"invalid_{error.kind.lower()}", str(error)) from None
        if op == "delete":
            return self._delete(key, version, origin)
        raise RejectedChange("unknown_op", f"op is {op[:40]!r}; it must be 'put', 'delete' or 'canary'")

    def _delete(self, key: str, version: int, origin: Origin) -> Change:
        # The record itself says when the deletion happened, so that a replay cannot prolong the memory of it. A delete
        # carries the version of the state that it removes, which may be years old: its age must not count.
        happened_at_us = origin.timestamp or origin.received_at
        deleted_at_us = happened_at_us if WIRE_VERSION_MIN <= happened_at_us <= WIRE_VERSION_MAX else version
        expires_at_ms = deleted_at_us // 1000 + self._contract.tombstone_ttl_s * 1000
        return Change(key, stored_tombstone(version, deleted_at_us), (), expires_at_ms, origin)

    def _not_json(self, value: bytes, error: Exception) -> Any:
        """The envelope of an Avro record."""
        if not value.startswith(MAGIC):
            raise _undecodable(value, error) from None
        try:
            return msgspec.convert(self._avro(value), self._envelope)
        except msgspec.ValidationError as invalid:
            raise RejectedChange("invalid_record", str(invalid)) from None

    def _bad_version(self, version: int) -> RejectedChange:
        if WIRE_VERSION_MIN <= version <= WIRE_VERSION_MAX:
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
