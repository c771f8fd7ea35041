"""Rows of the source → what Redis must hold of them, by the way that the feed and the stream go."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from instrument_cache.change import ChangeDecoder, stored_alias
from instrument_cache.clock import Clock
from instrument_cache.contract import Contract
from instrument_cache.errors import RejectedChange
from instrument_cache.identifiers_many import valid_for
from instrument_cache.plain_puts import Aliases
from instrument_cache.records import RecordMaker
from instrument_cache.source.interface import Put

_SOURCE: Final = "reconcile"


class Expected(msgspec.Struct, frozen=True, gc=False):
    """Of one row: its key, the bytes under each full Redis key (the record's first, then its aliases), their expiry.

    `expires_at_ms` lacks the keys that never expire.
    """

    key: str
    values: dict[str, bytes]
    expires_at_ms: dict[str, int]


class ExpectedMaker:
    """Makes what a contract's stream stores. For one thread."""

    def __init__(self, contract: Contract, clock: Clock | None = None) -> None:
        self._prefix = f"{contract.key_prefix}:"
        self._key_name = contract.key.name.encode()
        self._records = RecordMaker(contract, _SOURCE)
        self._decoder = ChangeDecoder(contract, clock)
        self._valid = valid_for(contract.key)

    def of(self, put: Put) -> Expected | None:
        """What Redis must hold of one row; None if the stream rejects it."""
        return self.of_many([put])[0]

    def of_many(self, puts: Sequence[Put]) -> list[Expected | None]:
        """The same for many, which is much quicker for each."""
        self._decoder.start_batch()
        record = self._records.put
        values = [record(put, put.timestamp_us) for put in puts]
        plain = self._decoder.plain_puts(values, self._valid)
        found: list[Expected | None] = [None] * len(values)
        for at, place in enumerate(plain.places):
            aliases = plain.aliases[at] if plain.aliases else ()
            expires_at_ms = plain.expires_at_ms[at] if plain.expires_at_ms else 0
            found[place] = self._expected(plain.keys[at], plain.stored[at], aliases, expires_at_ms)
        for place in plain.others:
            found[place] = self._look_closer(values[place])
        return found

    def _look_closer(self, value: bytes) -> Expected | None:
        try:
            change = self._decoder.decode(value)
        except RejectedChange:
            return None
        return self._expected(change.key, change.stored, change.aliases, change.expires_at_ms)

    def _expected(self, key: str, stored: bytes, aliases: Aliases, expires_at_ms: int) -> Expected:
        values = {self._prefix + key: stored}
        if aliases:
            hint = stored_alias(stored, self._key_name, key)
            for prefix, identifier in aliases:
                values[f"{prefix}:{identifier}"] = hint
        return Expected(key, values, dict.fromkeys(values, expires_at_ms) if expires_at_ms else {})
