"""One operation of a kind at a time: a lock in Redis that ends by itself when its holder dies."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Final
from uuid import uuid4

import msgspec
import redis
from redis.exceptions import RedisError

from instrument_cache.errors import InstrumentCacheError, StoreUnavailable

TTL_S: Final = 60.0
# The same owner takes it over: a task that was killed and is tried again must not wait for its own lock.
_ACQUIRE: Final = """
local held = redis.call('GET', KEYS[1])
if held and cjson.decode(held).owner ~= ARGV[1] then return held end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return false
"""
_RENEW: Final = (
    "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('PEXPIRE', KEYS[1], ARGV[2]) end return 0"
)
_RELEASE: Final = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0"


class OperationRunning(InstrumentCacheError):
    """Another run holds the lock, or has taken it over."""


class _Holder(msgspec.Struct):
    owner: str
    since: str
    token: str


class HeldLock:
    """A lock while it is held. Long operations call `check` before each step that writes."""

    def __init__(self, client: redis.Redis, key: str, value: bytes, ttl_s: float) -> None:
        self._client: Any = client
        self._key, self._value, self._ttl_ms = key, value, round(ttl_s * 1000)
        self._stop, self._lost = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._renew, args=(ttl_s / 3,), daemon=True)
        self._thread.start()

    def check(self) -> None:
        """Raises OperationRunning if the lock is held no longer."""
        if self._lost.is_set():
            raise OperationRunning(
                f"the lock {self._key!r} was lost: Redis forgot it, or another try of this run took it over"
            )

    def _renew(self, pause_s: float) -> None:
        while not self._stop.wait(pause_s):
            try:
                if not self._client.eval(_RENEW, 1, self._key, self._value, self._ttl_ms):
                    self._lost.set()
                    return
            except RedisError:
                continue  # it may be back before the lock ends; if not, the next answer says that it was lost

    def release(self) -> None:
        self._stop.set()
        self._thread.join()
        try:
            self._client.eval(_RELEASE, 1, self._key, self._value)
        except RedisError:
            return  # it ends by itself


@contextmanager
def operation_lock(
    client: redis.Redis, dataset: str, name: str, owner: str, ttl_s: float = TTL_S
) -> Iterator[HeldLock]:
    """Hold the lock `name` of a dataset. `owner` is the run: a later try of the same run takes over its lock.

    Raises OperationRunning, which says who holds it since when, or StoreUnavailable.
    """
    key = f"lock:{dataset}:{name}"
    value = msgspec.json.encode(_Holder(owner, datetime.now(UTC).isoformat(timespec="seconds"), uuid4().hex))
    try:
        held: Any = client.eval(_ACQUIRE, 1, key, owner, value, round(ttl_s * 1000))
    except RedisError as error:
        raise StoreUnavailable(f"Redis did not give the lock {key!r}: {error}") from error
    if held:
        holder = msgspec.json.decode(held, type=_Holder)
        raise OperationRunning(
            f"{holder.owner!r} holds the lock {name!r} of {dataset!r} since {holder.since}; wait until it has ended"
        )
    lock = HeldLock(client, key, value, ttl_s)
    try:
        yield lock
    finally:
        lock.release()
