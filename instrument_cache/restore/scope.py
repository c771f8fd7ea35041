"""Which keys are brought back: all of a dataset, a range of its keys, or named ones, each with its aliases."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec

from instrument_cache.change import VERSION_AT
from instrument_cache.contract import Contract
from instrument_cache.contract.load import prefixes
from instrument_cache.errors import IdentifierError, RestoreRefused
from instrument_cache.history import EVERYTHING
from instrument_cache.identifiers import canonical_for

KEYS_MAX: Final = 10_000
_SHOWN: Final = 5


class Scope(msgspec.Struct, frozen=True):
    """`keys`, or else the keys from `first` to `last`, both included, by their bytes; empty: no bound on that side."""

    first: str = ""
    last: str = ""
    keys: tuple[str, ...] = ()

    @property
    def is_all(self) -> bool:
        return not (self.first or self.last or self.keys)

    def holds(self, key: str) -> bool:
        """Whether an instrument's key is of it."""
        if self.keys:
            return key in self.keys
        return self.first <= key and (not self.last or key <= self.last)

    @property
    def text(self) -> str:
        """As people read it."""
        if self.is_all:
            return EVERYTHING
        if not self.keys:
            return f"the keys from {self.first or 'the first'} to {self.last or 'the last'}"
        shown = ", ".join(self.keys[:_SHOWN])
        return f"{len(self.keys)} keys: {shown}{', …' if len(self.keys) > _SHOWN else ''}"


def scope_of(contract: Contract, first: str = "", last: str = "", keys: tuple[str, ...] = ()) -> Scope:
    """The scope that somebody asks for, its keys in canonical form. Raises RestoreRefused."""
    if keys and (first or last):
        raise RestoreRefused("both keys and a range were given; give one of the two")
    if len(keys) > KEYS_MAX:
        raise RestoreRefused(f"{len(keys)} keys were given; at most {KEYS_MAX} can be, so give a range")
    if first and last and first > last:
        raise RestoreRefused(f"the range begins at {first!r}, behind its end {last!r}; exchange the two")
    canonical = canonical_for(contract.key)
    try:
        return Scope(first, last, tuple(sorted({canonical(key) for key in keys})))
    except IdentifierError as error:
        raise RestoreRefused(f"a key that was given is none: {error}") from None


class KeyFilter:
    """Whether a stored key, with its bytes, is of a scope. An alias is where the instrument is that it leads to."""

    def __init__(self, contract: Contract, scope: Scope) -> None:
        self._prefix = contract.redis_key("")
        self._prefixes = tuple(f"{prefix}:" for prefix in prefixes(contract))
        self._holds = _lookup(scope)
        self._is_all = scope.is_all
        hint = msgspec.defstruct("Hint", [(contract.key.name, str)])
        self._hint: Any = msgspec.json.Decoder(hint).decode
        self._key_name = contract.key.name

    def wants(self, key: str, value: bytes) -> bool:
        """True if it is of the scope."""
        if self._is_all:
            return True
        if key.startswith(self._prefix):
            return self._holds(key[len(self._prefix) :])
        try:
            return self._holds(getattr(self._hint(value), self._key_name))
        except msgspec.DecodeError:  # an alias without an instrument: it leads nowhere
            return False

    def check(self, key: str, value: bytes) -> None:
        """Raises RestoreRefused for what no store of this dataset holds."""
        if not key.startswith(self._prefixes):
            raise RestoreRefused(f"it holds {key[:60]!r}, whose prefix is none of {', '.join(self._prefixes)}")
        if not value[VERSION_AT].isdigit():
            raise RestoreRefused(f"it holds {value[:40]!r} under {key[:60]!r}, which carries no version")


def _lookup(scope: Scope) -> Callable[[str], bool]:
    return frozenset(scope.keys).__contains__ if scope.keys else scope.holds
