"""What looks at the stream of each dataset in Redis. Kafka is not asked: the service has no client of it."""

from __future__ import annotations

from instrument_cache.connections import redis_client
from instrument_cache.freshness.model import freshness_limits
from instrument_cache.freshness.probe import FreshnessProbe
from instrument_cache.store.redis import RedisStore
from lookup_app.datasets import Datasets
from lookup_app.status import Look


def looks_at_redis(redis_url: str, timeout_s: float, datasets: Datasets) -> dict[str, Look]:
    """Connects on first use, with connections of its own. Raises SettingsError."""
    client = redis_client(redis_url, name="lookup-status", timeout_s=timeout_s)
    limits = freshness_limits()
    return {name: FreshnessProbe(RedisStore(client, name), name, dict, limits).look for name in datasets.names}
