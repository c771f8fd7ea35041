"""Lines in the log about requests: every failure, refusals up to a number, and sampled successes."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

import structlog

# The logger's own context belongs to the thread that made it, and requests run in others.
logger = structlog.get_logger(component="lookup")
# A client that is refused over and over fills no disk.
REFUSALS_PER_S_MAX: Final = 10
REFUSED: Final = (401, 403, 429)


class RequestLog:
    """Decides which line a request gets, if any."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._second, self._written, self._left_out = 0, 0, 0

    def write(self, status: int, sampled: bool, facts: Callable[[], dict[str, Any]]) -> None:
        """`facts` are the line's members; asked for only if there is a line."""
        if status >= 500:
            logger.error("request_failed", status=status, **facts())
        elif status in REFUSED:
            self._refused(status, facts)
        elif sampled:
            logger.info("request", status=status, **facts())

    def _refused(self, status: int, facts: Callable[[], dict[str, Any]]) -> None:
        second = int(self._monotonic())
        if second != self._second:
            self._second, self._written = second, 0
        if self._written >= REFUSALS_PER_S_MAX:
            self._left_out += 1
            return
        self._written += 1
        left_out, self._left_out = self._left_out, 0
        logger.warning("request_refused", status=status, left_out=left_out, **facts())
