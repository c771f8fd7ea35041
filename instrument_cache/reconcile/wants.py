"""What the source now gives for single keys, records and aliases alike."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

import msgspec

from instrument_cache.change import VERSION_AT
from instrument_cache.clock import Clock
from instrument_cache.contract import Contract
from instrument_cache.reconcile.expected import Expected, ExpectedMaker
from instrument_cache.source.interface import Put, Source

# The clocks of this machine, of Redis and of the source may differ by so much: near its end a life is not judged.
CLOCKS_APART_S_MAX: Final = 600
_ROWS_PER_CALL: Final = 1000


class Want(NamedTuple):
    """What a key should hold. `value` None: nothing. `is_known` False: a row that the stream rejects decides on it.

    `near_end`: its time is about to pass or has just passed, so that it may be there or not. `changed_at_us`: the
    source's time of the row, 0: no row.
    """

    value: bytes | None = None
    expires_at_ms: int = 0
    is_known: bool = True
    overdue: bool = False
    near_end: bool = False
    changed_at_us: int = 0


class Wants:
    """Asks one source by keys. Methods raise SourceUnavailable."""

    def __init__(self, contract: Contract, source: Source, clock: Clock) -> None:
        self._contract, self._source, self._clock = contract, source, clock
        self._maker = ExpectedMaker(contract, clock)
        self._record_prefix = f"{contract.key_prefix}:"
        self._target_name = contract.key.name

    def is_alias(self, key: str) -> bool:
        return not key.startswith(self._record_prefix)

    def owner(self, key: str, held: bytes | None) -> str | None:
        """The source's key that decides on a key of the cache; of an alias, the one that it leads to, if to any."""
        if not self.is_alias(key):
            return key[len(self._record_prefix) :]
        try:
            target = msgspec.json.decode(held or b"").get(self._target_name)
        except (msgspec.DecodeError, UnicodeDecodeError, AttributeError):
            return None
        return target if isinstance(target, str) else None

    def of(self, owners: Mapping[str, Iterable[str]]) -> dict[str, Want]:
        """{key: the source's keys that may decide on it} → what each key should hold."""
        names = list(dict.fromkeys(owner for each in owners.values() for owner in each))
        rows = self._rows(names)
        return {key: self._want(key, [rows[owner] for owner in each if owner in rows]) for key, each in owners.items()}

    def _rows(self, names: Sequence[str]) -> dict[str, tuple[Put, Expected | None]]:
        found: dict[str, tuple[Put, Expected | None]] = {}
        for at in range(0, len(names), _ROWS_PER_CALL):
            puts = [put for put in self._source.rows(names[at : at + _ROWS_PER_CALL]) if put is not None]
            found |= {put.key: (put, made) for put, made in zip(puts, self._maker.of_many(puts), strict=True)}
        return found

    def _want(self, key: str, rows: list[tuple[Put, Expected | None]]) -> Want:
        if any(made is None for _, made in rows):
            return Want(is_known=False)
        # Of two records that bear one alias, the store's order decides, as it does in the stream.
        bearers = [(made.values[key], made, put) for put, made in rows if made is not None and key in made.values]
        if not bearers:
            return Want()
        value, made, put = max(bearers, key=lambda bearer: bearer[0])
        return self.aged(value, made.expires_at_ms.get(key, 0), put.timestamp_us)

    def aged(self, value: bytes, expires_at_ms: int, changed_at_us: int) -> Want:
        """A want with what the clock says of it."""
        left_s = expires_at_ms / 1000 - self._clock.now_us() / 1e6 if expires_at_ms else CLOCKS_APART_S_MAX + 1
        near_end = abs(left_s) <= CLOCKS_APART_S_MAX
        overdue = not near_end and left_s < 0
        return Want(None if overdue else value, expires_at_ms, True, overdue, near_end, changed_at_us)

    def is_overdue(self, made: Expected) -> bool:
        """True if the time of a record has passed, by more than clocks may be apart."""
        return self._clock.now_us() // 1000 - max(made.expires_at_ms.values()) > CLOCKS_APART_S_MAX * 1000

    def tombstone_overdue(self, held: bytes) -> bool:
        """True if a deletion is remembered longer than the contract says."""
        digits = held[VERSION_AT.stop :].partition(b":")[2].rstrip(b"}")
        if not digits.isdigit():
            return False
        end_s = int(digits) / 1e6 + self._contract.tombstone_ttl_s
        return self._clock.now_us() / 1e6 - end_s > CLOCKS_APART_S_MAX
