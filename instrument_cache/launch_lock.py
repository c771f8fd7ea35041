"""The lock of a dataset's launchers: who holds it stops and starts the streaming job on purpose."""

from __future__ import annotations

import redis
from redis.exceptions import RedisError

from instrument_cache.errors import StoreUnavailable


def launch_lock(dataset: str) -> str:
    """The Redis key that a launcher holds while it is at work; it goes by itself soon after its launcher was killed."""
    return f"lock:submit:{dataset}"


def launcher_at_work(client: redis.Redis, dataset: str) -> bool:
    """True while a launch, an upgrade or a stop is under way. Raises StoreUnavailable."""
    try:
        return bool(client.exists(launch_lock(dataset)))
    except RedisError as error:
        raise StoreUnavailable(f"Redis does not say whether a launcher is at work: {error}") from error
