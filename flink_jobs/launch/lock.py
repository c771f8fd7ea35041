"""One launcher of a dataset at a time: a lock in Redis that its holder renews."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

from redis.exceptions import RedisError
from redis.lock import Lock

from instrument_cache.connections import redis_client
from instrument_cache.errors import StoreUnavailable, Unavailable
from instrument_cache.launch_lock import launch_lock

_LOCK_S: Final = 30.0


@contextmanager
def alone(url: str, dataset: str, *, wait_s: float) -> Iterator[None]:
    """Two launchers at once must not both see "no job" and start one.

    Raises StoreUnavailable without Redis, Unavailable if another launcher holds the lock for `wait_s` seconds.
    """
    lock = redis_client(url, name="submit").lock(
        launch_lock(dataset), timeout=_LOCK_S, blocking_timeout=wait_s, thread_local=False
    )
    try:
        acquired = lock.acquire()
    except RedisError as error:
        raise StoreUnavailable(f"Redis does not give the lock of submissions: {error}; try again") from error
    if not acquired:
        raise Unavailable(f"another launcher of {dataset} has been at work for {wait_s:g} s; try again later")
    done = threading.Event()
    threading.Thread(target=_hold, args=(lock, done), daemon=True).start()
    try:
        yield
    finally:
        done.set()
        with suppress(RedisError):  # it expires by itself
            lock.release()


def _hold(lock: Lock, done: threading.Event) -> None:
    """Renew the lock while the work lasts: the lock of a launcher that was killed must not hold up the next one."""
    while not done.wait(_LOCK_S / 3):
        with suppress(RedisError):
            lock.reacquire()
