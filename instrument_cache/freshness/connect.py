"""A probe of this deployment. Not for Flink's environment, which has no Kafka client."""

from __future__ import annotations

from pathlib import Path

import redis

from instrument_cache.feed_state import FeedState, read_feed_state
from instrument_cache.freshness.model import freshness_limits
from instrument_cache.freshness.probe import FreshnessProbe
from instrument_cache.kafka import topic_spans
from instrument_cache.settings import Environment
from instrument_cache.store.redis import RedisStore


def connect_probe(env: Environment, client: redis.Redis) -> FreshnessProbe:
    """Looks at the Redis of `client` and at the Kafka, the dataset and the limits of the settings."""
    dataset, bootstrap = env.text("ICACHE_DATASET", "instruments"), env.text("ICACHE_KAFKA_BOOTSTRAP")
    path = env.variables.get("ICACHE_FEED_STATE_FILE")

    def feed_state() -> FeedState | None:
        return read_feed_state(Path(path)) if path else None

    return FreshnessProbe(
        RedisStore(client, dataset),
        dataset,
        lambda: topic_spans(bootstrap, dataset),
        freshness_limits(env),
        feed_state=feed_state,
    )
