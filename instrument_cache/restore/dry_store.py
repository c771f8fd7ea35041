"""A store that only looks: what is offered to it is judged as the guard would, and nothing is written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from instrument_cache.change import VERSION_AT
from instrument_cache.restore.interface import RestoreStore
from instrument_cache.store.interface import APPLIED, DUPLICATE, STALE, Replacement


class DryStore:
    """Implements `RestoreStore` in front of another: a plan is made by the code that carries it out."""

    def __init__(self, store: RestoreStore) -> None:
        self._store = store

    def offer(self, values: Mapping[str, bytes], expires_at_ms: Mapping[str, int] | None = None) -> str:
        held = self._store.get_many(list(values))
        return "".join(_letter(before, value) for before, value in zip(held, values.values(), strict=True))

    def get_many(self, keys: Sequence[str]) -> list[bytes | None]:
        return self._store.get_many(keys)

    def replace_many(self, replacements: Sequence[Replacement]) -> list[bool]:
        return [True] * len(replacements)

    def keys(self, *prefixes: str) -> Iterator[list[bytes]]:
        return self._store.keys(*prefixes)


def _letter(held: bytes | None, value: bytes) -> str:
    """What is not of the store is replaced; of the rest, the larger bytes stay."""
    if held == value:
        return DUPLICATE
    if held is None or not held[VERSION_AT].isdigit():
        return APPLIED
    return STALE if held > value else APPLIED
