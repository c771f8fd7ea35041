"""The versioned store on Redis: `guard.lua` is its only writer of instruments.

The one hot command is written as protocol bytes by hand: packing 1000 keys through the client's general path costs more
than the rest of the batch.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from itertools import islice
from typing import Any, Final

import redis
from redis.exceptions import NoScriptError, RedisError

from instrument_cache.errors import StoreUnavailable

GUARD: Final = resources.files("instrument_cache.store").joinpath("guard.lua").read_bytes()
_GUARD_SHA: Final = hashlib.sha1(GUARD).hexdigest().encode()
# One script call blocks Redis for about 3 µs per key, and readers wait for it.
KEYS_PER_CALL: Final = 1000
_SCAN_PAGE: Final = 1000


class RedisStore:
    """Implements `VersionedStore`. Safe to share between threads: each call takes a connection of its own."""

    def __init__(self, client: redis.Redis, dataset: str) -> None:
        self._client: Any = client
        self._pool: Any = client.connection_pool
        self._counters_key = f"count:{dataset}"

    def offer(self, values: Mapping[str, bytes], expires_at_ms: Mapping[str, int] | None = None) -> str:
        calls = list(_calls(values, expires_at_ms or {}))
        if not calls:
            return ""
        try:
            return self._offer_calls(calls)
        except RedisError as error:
            raise StoreUnavailable(f"Redis did not take {len(values)} changes: {error}") from error

    def _offer_calls(self, calls: list[bytes]) -> str:
        try:
            return self._exchange(calls)
        except NoScriptError:
            self._client.script_load(GUARD)
            # Calls before the failed one may have happened; offered again they are duplicates of themselves.
            return self._exchange(calls)

    def _exchange(self, calls: list[bytes]) -> str:
        """Send every call, then await every answer. A connection that saw an error is not used again."""
        connection = self._pool.get_connection()
        try:
            connection.send_packed_command(calls)
            return b"".join([connection.read_response() for _ in calls]).decode()
        except BaseException:
            connection.disconnect()
            raise
        finally:
            self._pool.release(connection)

    def get_many(self, keys: Sequence[str]) -> list[bytes | None]:
        try:
            found: list[bytes | None] = self._client.mget(keys) if keys else []
        except RedisError as error:
            raise StoreUnavailable(f"Redis did not read {len(keys)} keys: {error}") from error
        return found

    def scan(self, prefix: str) -> Iterator[tuple[str, bytes]]:
        try:
            keys = self._client.scan_iter(match=f"{prefix}:*", count=_SCAN_PAGE)
            while page := list(islice(keys, _SCAN_PAGE)):
                for key, value in zip(page, self._client.mget(page), strict=True):
                    if value is not None:
                        yield key.decode(), value
        except RedisError as error:
            raise StoreUnavailable(f"Redis broke off the scan of {prefix}:*: {error}") from error

    def count(self, counters: Mapping[str, int]) -> None:
        try:
            pipeline = self._client.pipeline(transaction=False)
            for name, amount in counters.items():
                pipeline.hincrby(self._counters_key, name, amount)
            pipeline.execute()
        except RedisError as error:
            raise StoreUnavailable(f"Redis did not take the counters: {error}") from error

    def counters(self) -> dict[str, int]:
        try:
            held: dict[bytes, bytes] = self._client.hgetall(self._counters_key)
        except RedisError as error:
            raise StoreUnavailable(f"Redis did not read the counters: {error}") from error
        return {name.decode(): int(amount) for name, amount in held.items()}


def _calls(values: Mapping[str, bytes], expires_at_ms: Mapping[str, int]) -> Iterator[bytes]:
    keys = [key.encode() for key in values]
    offers = list(values.values())
    expiries = [b"%d" % expires_at_ms.get(key, 0) for key in values] if expires_at_ms else []
    for at in range(0, len(keys), KEYS_PER_CALL):
        part = slice(at, at + KEYS_PER_CALL)
        yield _evalsha(keys[part], offers[part] + expiries[part])


def _evalsha(keys: list[bytes], arguments: list[bytes]) -> bytes:
    """EVALSHA sha n keys… arguments… as RESP."""
    parts = [b"EVALSHA", _GUARD_SHA, b"%d" % len(keys), *keys, *arguments]
    # Length, part, length, part, …, formatted in one go: a call of its own for each part would cost twice as much.
    framed: list[int | bytes] = [0] * (2 * len(parts))
    framed[::2] = map(len, parts)
    framed[1::2] = parts
    return b"*%d\r\n" % len(parts) + b"$%d\r\n%b\r\n" * len(parts) % tuple(framed)
