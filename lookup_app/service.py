"""Looking up instruments. Knows nothing of HTTP: every way in shares this object and so answers the same."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, Protocol

from instrument_cache.change import is_tombstone
from instrument_cache.contract import Alias, Contract
from instrument_cache.errors import IdentifierError
from instrument_cache.identifiers import canonical_for
from lookup_app.entries import Instrument, instrument_of, member_reader, unknown
from lookup_app.problems import Problem, problem_of


class Reader(Protocol):
    """The reading half of `VersionedStore`. Both raise StoreUnavailable."""

    def get_many(self, keys: Sequence[str]) -> list[bytes | None]: ...

    def counters(self) -> dict[str, int]: ...


class _AliasRules(NamedTuple):
    prefix: str
    canonical: Callable[[str], str]
    alias_of: Callable[[str, bytes], str | None]


class LookupService:
    """Reads the instruments of one contract. Safe to share between threads if the reader is."""

    def __init__(self, reader: Reader, contract: Contract) -> None:
        self._reader = reader
        self._redis_key = contract.redis_key
        self._canonical = canonical_for(contract.key)
        self._key_of = member_reader(contract.key)
        self._aliases = {alias.field.name: _rules_of(alias) for alias in contract.aliases}

    @property
    def alias_names(self) -> tuple[str, ...]:
        """The fields, besides the key, that lead to an instrument."""
        return tuple(self._aliases)

    def by_key(self, text: str) -> Instrument:
        """The instrument with this key, as people type it. Raises IdentifierError, Problem or StoreUnavailable."""
        key = self._canonical(text)
        return instrument_of(key, self._get(self._redis_key(key)))

    def by_alias(self, name: str, text: str) -> Instrument:
        """The instrument that carries `text` in the field `name`, one of `alias_names`. Raises as `by_key`.

        An alias in the store is a hint that may be old, so the instrument has the last word.
        """
        rules = self._aliases[name]
        alias = rules.canonical(text)
        hint = self._get(f"{rules.prefix}:{alias}")
        key = self._key_of(alias, hint) if hint and not is_tombstone(hint) else None
        if key is None:
            raise unknown(alias)
        instrument = instrument_of(alias, self._get(self._redis_key(key)))
        if rules.alias_of(alias, instrument.body) != alias:
            raise unknown(alias)
        return instrument

    def batch(self, ids: Iterable[str]) -> list[Instrument | Problem]:
        """One result per id, in order, from one read of the store. Raises StoreUnavailable."""
        keys = [self._key_or_problem(text) for text in ids]
        wanted = list(dict.fromkeys(key for key in keys if isinstance(key, str)))
        stored = dict(zip(wanted, self._reader.get_many([self._redis_key(key) for key in wanted]), strict=True))
        return [_result(key, stored[key]) if isinstance(key, str) else key for key in keys]

    def check(self) -> None:
        """Read what is not there. Raises StoreUnavailable unless the store answers as it would to a caller."""
        self._get(self._redis_key(""))

    def counters(self) -> dict[str, int]:
        """The store's running counters of outcomes. Raises StoreUnavailable."""
        return self._reader.counters()

    def _get(self, redis_key: str) -> bytes | None:
        return self._reader.get_many([redis_key])[0]

    def _key_or_problem(self, text: str) -> str | Problem:
        try:
            return self._canonical(text)
        except IdentifierError as error:
            return problem_of(error)


def _result(key: str, stored: bytes | None) -> Instrument | Problem:
    try:
        return instrument_of(key, stored)
    except Problem as problem:
        return problem


def _rules_of(alias: Alias) -> _AliasRules:
    return _AliasRules(alias.prefix, canonical_for(alias.field), member_reader(alias.field))
