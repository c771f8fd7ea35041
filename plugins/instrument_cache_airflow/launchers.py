"""Whether a launcher is stopping or starting the streaming job on purpose: asked of Redis, where it holds a lock."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from instrument_cache.errors import StoreUnavailable
from instrument_cache.settings import Environment, environment

if TYPE_CHECKING:
    import redis

logger = structlog.get_logger()


class LaunchersOfStream:
    """The launchers of one dataset."""

    def __init__(self, client: redis.Redis, dataset: str) -> None:
        self._client, self._dataset = client, dataset

    def at_work(self) -> bool:
        """What cannot be asked counts as no: a lost job must not go unnoticed because Redis is away too."""
        from instrument_cache.launch_lock import launcher_at_work

        try:
            return launcher_at_work(self._client, self._dataset)
        except StoreUnavailable as error:
            logger.warning("launchers_unknown", error=str(error))
            return False


def stream_launchers(dataset: str, env: Environment | None = None) -> LaunchersOfStream | None:
    """Those of this deployment; None if Airflow does not know where Redis is."""
    env = env or environment()
    if not (env.variables.get("ICACHE_REDIS_URL") or env.variables.get("ICACHE_REDIS_URL_FILE")):
        return None
    from instrument_cache.connections import redis_client
    from instrument_cache.settings import redis_url

    return LaunchersOfStream(redis_client(redis_url(env), name="launchers"), dataset)
