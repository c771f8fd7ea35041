"""Whether the running job still applies what the log brings: asked of Redis and Kafka, for Flink does not know.

A job whose Python worker hangs is RUNNING to Flink, and its checkpoints time out only after minutes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from instrument_cache.errors import StoreUnavailable
from instrument_cache.settings import Environment, environment

if TYPE_CHECKING:
    import redis

    from instrument_cache.freshness import FreshnessProbe

logger = structlog.get_logger()
NEEDED = ("ICACHE_REDIS_URL", "ICACHE_KAFKA_BOOTSTRAP")


class StallWatch:
    """Keep it from look to look: it remembers since when each partition stands still.

    `uptime_s_min` is how long a job must have run before it can be called stalled: its Python workers take some time to
    start, and what a restart brings back must not be restarted again.
    """

    def __init__(self, probe: FreshnessProbe, client: redis.Redis, dataset: str, uptime_s_min: float) -> None:
        self._probe, self._client, self._dataset = probe, client, dataset
        self.uptime_s_min = uptime_s_min

    def look(self) -> str | None:
        """The sentence that says what stands still, if anything does. What cannot be asked counts as no finding."""
        from redis.exceptions import RedisError

        from instrument_cache.reject_gate import current_alarm

        try:
            found = self._probe.look()
            # A job that was told to stop at too many rejects stands still on purpose: a new launch would not help it.
            if found.stalled and current_alarm(self._client, self._dataset) is None:
                return found.message
        except (StoreUnavailable, RedisError) as error:
            logger.warning("freshness_unknown", error=str(error))
        return None

    def mark(self, job_id: str, message: str) -> None:
        """Have the next launch replace the job."""
        from instrument_cache.freshness import mark_stalled

        try:
            mark_stalled(self._client, self._dataset, job_id, message)
        except StoreUnavailable as error:
            logger.warning("stalled_job_not_marked", job=job_id, error=str(error))


def stall_watch(dataset: str, env: Environment | None = None) -> StallWatch | None:
    """The watch of this deployment; None, with a warning, if Airflow does not know where Redis and Kafka are."""
    env = env or environment()
    missing = [name for name in NEEDED if not (env.variables.get(name) or env.variables.get(f"{name}_FILE"))]
    if missing:
        logger.warning("stalls_are_not_watched", missing=missing)
        return None
    from instrument_cache.connections import redis_client
    from instrument_cache.freshness import freshness_limits
    from instrument_cache.freshness.connect import connect_probe
    from instrument_cache.settings import redis_url

    client = redis_client(redis_url(env), name="stall-watch")
    return StallWatch(connect_probe(env, client), client, dataset, uptime_s_min=2 * freshness_limits(env).stalled_s)
