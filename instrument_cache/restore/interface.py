"""What a restore needs of the store: `RedisStore`, its twin, and the one that only looks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

from instrument_cache.store.interface import Replacement


class RestoreStore(Protocol):
    """The part of `VersionedStore` that a restore uses. All raise StoreUnavailable."""

    def offer(self, values: Mapping[str, bytes], expires_at_ms: Mapping[str, int] | None = None) -> str: ...

    def get_many(self, keys: Sequence[str]) -> list[bytes | None]: ...

    def replace_many(self, replacements: Sequence[Replacement]) -> list[bool]: ...

    def keys(self, *prefixes: str) -> Iterator[list[bytes]]: ...
