"""Waits for a part that is away for a while, as Redis is while it fails over."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, TypeVar

import structlog

from instrument_cache.errors import Unavailable

logger = structlog.get_logger()
_PAUSE_S_MIN: Final = 0.1
_PAUSE_S_MAX: Final = 2.0
T = TypeVar("T")


class Patience:
    """Calls again what failed, for at most `give_up_s` each time. What is called must bear to be done twice."""

    def __init__(self, give_up_s: float) -> None:
        self._give_up_s = give_up_s

    def call(self, what: Callable[[], T]) -> T:
        """Its result. Raises the last Unavailable."""
        deadline_s = time.monotonic() + self._give_up_s
        pause_s = _PAUSE_S_MIN
        while True:
            try:
                return what()
            except Unavailable as error:
                if time.monotonic() + pause_s > deadline_s:
                    raise
                logger.warning("restore_waits", error=str(error), retry_in_s=pause_s)
            time.sleep(pause_s)
            pause_s = min(2 * pause_s, _PAUSE_S_MAX)
