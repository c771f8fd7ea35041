"""Looking up instruments. Knows nothing of HTTP: every way in shares these objects and so answers the same."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, Protocol

from instrument_cache.change import is_tombstone
from instrument_cache.contract import Alias, Contract
from instrument_cache.errors import IdentifierError
from instrument_cache.identifiers import canonical_for
from lookup_app.entries import Instrument, instrument_of, member_reader, unknown
from lookup_app.problems import Problem, problem_of


class Found(NamedTuple):
    """What a read found: the stored bytes, or None, per key.

    `stale_s` is None if the values are as fresh as is promised. Else Redis is away, and they are at most so old.
    """

    values: Sequence[bytes | None]
    stale_s: float | None = None


class Reader(Protocol):
    """Reads full keys (`instr:037833100`). Raises StoreUnavailable."""

    def read(self, keys: Sequence[str]) -> Found: ...


class ManyReader(Protocol):
    """The reading half of `VersionedStore`."""

    def get_many(self, keys: Sequence[str]) -> list[bytes | None]: ...


class StoreReader:
    """A store as a reader, with nothing in between."""

    def __init__(self, store: ManyReader) -> None:
        self._store = store

    def read(self, keys: Sequence[str]) -> Found:
        return Found(self._store.get_many(keys))


class _AliasRules(NamedTuple):
    prefix: str
    canonical: Callable[[str], str]
    alias_of: Callable[[str, bytes], str | None]


class LookupService:
    """Reads the instruments of one contract. Safe to share between threads if the reader is."""

    def __init__(self, reader: Reader, contract: Contract) -> None:
        self.contract = contract
        self.canonical = canonical_for(contract.key)
        self._reader = reader
        self._redis_key = contract.redis_key
        self._key_of = member_reader(contract.key)
        self._aliases = {alias.field.name: _rules_of(alias) for alias in contract.aliases}

    @property
    def dataset(self) -> str:
        return self.contract.dataset

    @property
    def alias_names(self) -> tuple[str, ...]:
        """The fields, besides the key, that lead to an instrument."""
        return tuple(self._aliases)

    def by_key(self, text: str) -> Instrument:
        """The instrument with this key, as people type it. Raises IdentifierError, Problem or StoreUnavailable."""
        key = self.canonical(text)
        values, stale_s = self._reader.read((self._redis_key(key),))
        return instrument_of(key, values[0], stale_s)

    def redis_key(self, text: str) -> str:
        """Under which a key, as people type it, stands in Redis. Raises IdentifierError."""
        return self._redis_key(self.canonical(text))

    def found(self, text: str, stored: bytes | None) -> Instrument:
        """As `by_key`, of bytes that were just read. Raises Problem."""
        return instrument_of(self.canonical(text), stored)

    def by_alias(self, name: str, text: str) -> Instrument:
        """The instrument that carries `text` in the field `name`, one of `alias_names`. Raises as `by_key`.

        An alias in the store is a hint that may be old, so the instrument has the last word.
        """
        rules = self._aliases[name]
        alias = rules.canonical(text)
        (hint,), hint_stale_s = self._reader.read((f"{rules.prefix}:{alias}",))
        key = self._key_of(alias, hint) if hint and not is_tombstone(hint) else None
        if key is None:
            raise unknown(alias, hint_stale_s)
        (value,), stale_s = self._reader.read((self._redis_key(key),))
        found = self._aliased(rules, alias, value, _older(hint_stale_s, stale_s))
        if isinstance(found, Problem):
            raise found
        return found

    def batch(self, ids: Iterable[str], by: str | None = None) -> list[Instrument | Problem]:
        """One result per id, in order, from one read of the store. Raises StoreUnavailable.

        With `by`, one of `alias_names`, the ids are such aliases and there are two reads.
        """
        if by is not None:
            return self._batch_by_alias(self._aliases[by], list(ids))
        keys = [_valid(self.canonical, text) for text in ids]
        wanted = list(dict.fromkeys(key for key in keys if isinstance(key, str)))
        stored, stale_s = self._stored(wanted, self._redis_key)
        return [_result(key, stored[key], stale_s) if isinstance(key, str) else key for key in keys]

    def _batch_by_alias(self, rules: _AliasRules, ids: list[str]) -> list[Instrument | Problem]:
        aliases = [_valid(rules.canonical, text) for text in ids]
        wanted = list(dict.fromkeys(alias for alias in aliases if isinstance(alias, str)))
        hints, hints_stale_s = self._stored(wanted, lambda alias: f"{rules.prefix}:{alias}")
        keys = {alias: self._hinted(alias, hint) for alias, hint in hints.items()}
        found = list(dict.fromkeys(key for key in keys.values() if isinstance(key, str)))
        stored, stale_s = self._stored(found, self._redis_key)
        stale_s = _older(hints_stale_s, stale_s)

        def result(alias: str) -> Instrument | Problem:
            key = keys[alias]
            if isinstance(key, str):
                return self._aliased(rules, alias, stored[key], stale_s)
            return key or unknown(alias, stale_s)

        return [result(alias) if isinstance(alias, str) else alias for alias in aliases]

    def _stored(
        self, names: Sequence[str], redis_key: Callable[[str], str]
    ) -> tuple[dict[str, bytes | None], float | None]:
        values, stale_s = self._reader.read([redis_key(name) for name in names])
        return dict(zip(names, values, strict=True)), stale_s

    def _hinted(self, alias: str, hint: bytes | None) -> str | Problem | None:
        """The key to which an alias leads, None if to none, or the problem that the hint cannot be read."""
        try:
            return self._key_of(alias, hint) if hint and not is_tombstone(hint) else None
        except Problem as problem:
            return problem

    def _aliased(
        self, rules: _AliasRules, alias: str, value: bytes | None, stale_s: float | None
    ) -> Instrument | Problem:
        """The instrument that an alias leads to, which has the last word on whether it still carries the alias."""
        try:
            instrument = instrument_of(alias, value, stale_s)
            return instrument if rules.alias_of(alias, instrument.body) == alias else unknown(alias, stale_s)
        except Problem as problem:
            return problem

    def check(self) -> None:
        """Read what is not there. Raises StoreUnavailable unless the store answers as it would to a caller."""
        self._reader.read((self._redis_key(""),))


def _valid(canonical: Callable[[str], str], text: str) -> str | Problem:
    try:
        return canonical(text)
    except IdentifierError as error:
        return problem_of(error)


def _older(first_s: float | None, second_s: float | None) -> float | None:
    return max((age_s for age_s in (first_s, second_s) if age_s is not None), default=None)


def _result(key: str, stored: bytes | None, stale_s: float | None) -> Instrument | Problem:
    try:
        return instrument_of(key, stored, stale_s)
    except Problem as problem:
        return problem


def _rules_of(alias: Alias) -> _AliasRules:
    return _AliasRules(alias.prefix, canonical_for(alias.field), member_reader(alias.field))
