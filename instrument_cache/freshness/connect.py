"""A probe of this deployment. Not for Flink's environment, which has no Kafka client."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

import redis

from instrument_cache.feed_state import FeedState, read_feed_state
from instrument_cache.freshness.model import CONFIRM_S, Freshness, Verdict, freshness_limits
from instrument_cache.freshness.probe import FreshnessProbe
from instrument_cache.kafka import topic_spans
from instrument_cache.settings import Environment
from instrument_cache.store.redis import RedisStore

_PAUSE_S: Final = 1.0


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


def certain_look(probe: FreshnessProbe) -> Freshness:
    """One look; and if the job is late, as many as it takes to tell one that stands still from one that catches up."""
    began_s = time.monotonic()
    found = probe.look()
    while found.verdict is Verdict.LATE and time.monotonic() - began_s <= CONFIRM_S:
        time.sleep(_PAUSE_S)
        found = probe.look()
    return found
