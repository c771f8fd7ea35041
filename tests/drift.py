"""Plants differences of every kind in a cache, as faults do: past the guard, on records that nobody changes."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from typing import Protocol

from instrument_cache.change import VERSION_AT, stored_tombstone, stored_value, version_of
from instrument_cache.contract import Contract
from instrument_cache.reconcile.model import Kind
from local_stack.synthetic import synthetic_cusip

# Numbers of instruments that no source of a test publishes.
_EXTRAS_FROM, _EXPIRED_FROM = 1_010_000, 1_020_000


class Vandal(Protocol):
    """A cache that lets itself be damaged."""

    def get_many(self, keys: Sequence[str]) -> list[bytes | None]: ...

    def plant(self, key: str, value: bytes) -> None: ...

    def lose(self, key: str) -> None: ...

    def make_list(self, key: str) -> None: ...


class Planter:
    """`planted`: damaged key → the kind that must be found. Nobody else changes the instruments of `numbers`."""

    def __init__(
        self, store: Vandal, contract: Contract, numbers: Iterator[int], chance: random.Random, now_us: int
    ) -> None:
        self._store, self._contract, self._numbers, self._chance = store, contract, numbers, chance
        self._now_us = now_us
        self.planted: dict[str, str] = {}

    def plant(self) -> None:
        """One difference of each kind, at this moment."""
        for kind in Kind:
            getattr(self, f"_{kind}")()

    def _next(self) -> tuple[str, str, bytes]:
        """Keys and bytes of a record that is not planted yet."""
        number = next(self._numbers)
        key = f"instr:{synthetic_cusip(number)}"
        [held] = self._store.get_many([key])
        assert held is not None
        return key, f"pme:{json.loads(held)['pme']}", held

    def _missing(self) -> None:
        key, _, held = self._next()
        if self._chance.random() < 0.5:
            self._store.lose(key)
        else:
            self._store.plant(key, stored_tombstone(version_of(held), self._now_us))
        self.planted[key] = Kind.MISSING

    def _stale(self) -> None:
        key, _, held = self._next()
        version = version_of(held) - self._chance.randrange(1, 10**9)
        self._store.plant(key, b'{"v":%d%b' % (version, held[VERSION_AT.stop :]))
        self.planted[key] = Kind.STALE

    def _extra(self) -> None:
        number = _EXTRAS_FROM + len(self.planted)
        key = f"instr:{synthetic_cusip(number)}"
        if self._chance.random() < 0.3:
            self._store.make_list(key)
        else:
            self._store.plant(key, stored_value(self._now_us - 10**9, b'{"cusip":"x"}'))
        self.planted[key] = Kind.EXTRA

    def _corrupt(self) -> None:
        key, _, held = self._next()
        how = self._chance.randrange(4)
        if how == 0:
            self._store.make_list(key)
        elif how == 1:
            self._store.plant(key, b"\x00garbage")
        elif how == 2:
            self._store.plant(key, b'{"v":9%b' % held[6:])
        else:
            at = self._chance.randrange(VERSION_AT.stop + 2, len(held))
            self._store.plant(key, held[:at] + bytes([held[at] ^ 1]) + held[at + 1 :])
        self.planted[key] = Kind.CORRUPT

    def _wrong_alias(self) -> None:
        _, alias, held = self._next()
        hint = b'%b,"cusip":"990000000"}' % held[: VERSION_AT.stop]
        newer = b'{"v":9%b,"cusip":"037833100"}' % held[6 : VERSION_AT.stop]
        change = self._chance.choice((hint, newer, None))
        self._store.lose(alias) if change is None else self._store.plant(alias, change)
        self.planted[alias] = Kind.WRONG_ALIAS

    def _dangling_alias(self) -> None:
        _, _, held = self._next()
        alias = f"pme:PMEX{len(self.planted):05}"
        self._store.plant(alias, b'%b,"cusip":"037833100"}' % held[: VERSION_AT.stop])
        self.planted[alias] = Kind.DANGLING_ALIAS

    def _expired(self) -> None:
        key = f"instr:{synthetic_cusip(_EXPIRED_FROM + len(self.planted))}"
        old_us = self._now_us - (self._contract.tombstone_ttl_s + 3600) * 1_000_000
        self._store.plant(key, stored_tombstone(old_us, old_us))
        self.planted[key] = Kind.EXPIRED
