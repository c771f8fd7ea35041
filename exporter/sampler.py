"""Takes a sample each minute, for the error budgets and the forecast: the exporter is there day and night."""

from __future__ import annotations

import threading
import time
from typing import Final

import structlog

from instrument_cache.connections import redis_client
from instrument_cache.settings import Environment, redis_url
from instrument_cache.slo.measuring import Measuring
from instrument_cache.slo.objectives import thresholds

logger = structlog.get_logger()
_EVERY_S: Final = 60.0


def measuring(env: Environment) -> Measuring:
    """What the settings describe; nothing is connected yet. Raises SettingsError."""
    client = redis_client(redis_url(env), name="sampler", timeout_s=5.0)
    dataset = env.text("ICACHE_DATASET", "instruments")
    return Measuring(client, dataset, thresholds(env), env.variables.get("ICACHE_LOOKUP_URL"))


def keep_measuring(measure: Measuring, stop: threading.Event) -> threading.Thread:
    """A thread that measures at the end of each minute until `stop`."""

    def work() -> None:
        while not stop.wait(_EVERY_S - time.time() % _EVERY_S):
            try:
                measure.measure()
            except Exception as error:  # the next minute is measured again
                logger.warning("not_measured", error=str(error) or type(error).__name__)

    thread = threading.Thread(target=work, name="sampler", daemon=True)
    thread.start()
    return thread
