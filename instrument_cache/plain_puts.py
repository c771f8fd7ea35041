"""The ordinary puts among many values, column by column: nearly all records of a stream are such puts.

A step is one call over a whole column wherever Python has such a call, which costs a fraction of a turn of a loop.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import compress
from operator import attrgetter
from typing import Any

import msgspec

from instrument_cache.contract import Contract
from instrument_cache.contract.model import WIRE_VERSION_MIN
from instrument_cache.errors import IdentifierError
from instrument_cache.identifiers import check_for
from instrument_cache.projection import encode

Aliases = tuple[tuple[str, str], ...]
Valid = Callable[[Sequence[str | None]], Sequence[bool]]


class Origin(msgspec.Struct, gc=False):
    """Microseconds since 1970; 0: not told."""

    timestamp: int = 0
    received_at: int = 0


class Puts(msgspec.Struct, frozen=True):
    """Columns of equal length, as in `Change`: of each put its position among the values, its key, and so on.

    `aliases` and `expires_at_ms` are empty if no put has any. `others` are the positions of all other values.
    """

    places: Sequence[int]
    keys: Sequence[str]
    stored: Sequence[bytes]
    aliases: Sequence[Aliases]
    expires_at_ms: Sequence[int]
    origins: Sequence[Origin]
    others: Sequence[int]


class PlainPuts:
    """Finds the puts of one contract that `read` can decode. It judges as `ChangeDecoder.decode` does."""

    def __init__(self, contract: Contract, read: Callable[[bytes], Any], ttl_ms: int) -> None:
        self._read = read
        self._ttl_ms = ttl_ms
        self._bytes_max = contract.record_bytes_max
        self._key = attrgetter(contract.key.name)
        self._version_unit = contract.version_unit
        self._version_field = contract.version_field.name
        self._own_version = attrgetter(self._version_field)
        # A valid key is there.
        self._required = [attrgetter(name) for name in contract.required if name != contract.key.name]
        self._aliases = [(a.prefix, attrgetter(a.field.name), check_for(a.field)) for a in contract.aliases]

    def among(self, values: Sequence[bytes | None], valid: Valid, version_max: int) -> Puts:
        """The puts whose keys `valid` takes and whose version is at most `version_max`."""
        places, envelopes = self._envelopes(values)
        records = [envelope.record for envelope in envelopes]
        keys: list[Any] = list(map(self._key, records))
        good = [
            envelope.op == "put" and is_valid and WIRE_VERSION_MIN <= envelope.version <= version_max
            for envelope, is_valid in zip(envelopes, valid(keys), strict=True)
        ]
        for of in self._required:
            good = [is_good and of(record) is not None for is_good, record in zip(good, records, strict=True)]
        aliases = self._aliases_of(records, good)
        if not all(good):
            places, envelopes, records, keys, aliases = (
                list(compress(column, good)) for column in (places, envelopes, records, keys, aliases)
            )
        versions = [envelope.version for envelope in envelopes]
        return Puts(
            places=places,
            keys=keys,
            stored=self._stored(records, versions),
            aliases=aliases,
            expires_at_ms=[version // 1000 + self._ttl_ms for version in versions] if self._ttl_ms else (),
            origins=[envelope.source for envelope in envelopes],
            others=sorted({*range(len(values))}.difference(places)) if len(places) < len(values) else (),
        )

    def _envelopes(self, values: Sequence[bytes | None]) -> tuple[list[int], list[Any]]:
        """Positions and envelopes of the values that are JSON of the right shape."""
        read, bytes_max = self._read, self._bytes_max
        places: list[int] = []
        envelopes: list[Any] = []
        for at, value in enumerate(values):
            try:
                if value is not None and len(value) <= bytes_max:
                    envelopes.append(read(value))
                    places.append(at)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                continue
        return places, envelopes

    def _aliases_of(self, records: Sequence[Any], good: list[bool]) -> Sequence[Aliases]:
        """The aliases of each record, or nothing if none has any. One with a wrong alias is no longer good."""
        found: list[Aliases] = []
        for prefix, of, check in self._aliases:
            column = list(map(of, records))
            if column.count(None) == len(column):
                continue
            found = found or [()] * len(column)
            for at, alias in enumerate(column):
                if alias is not None:
                    try:
                        found[at] += ((prefix, check(alias) if check else alias),)
                    except IdentifierError:
                        good[at] = False
        return found

    def _stored(self, records: Sequence[Any], versions: Sequence[int]) -> list[bytes]:
        """The bytes to store; the records get their version in the wire's unit, and in the source's if they lack it."""
        name, sources = self._version_field, self._version_unit.from_wire_many(versions)
        known = map(self._own_version, records)
        for record, version, source, own in zip(records, versions, sources, known, strict=True):
            record.v = version
            if own is None:
                setattr(record, name, source)
        return list(map(encode, records))
