"""Waits until the stream has applied what the source held at the first look."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Final, Protocol

import structlog

from instrument_cache.errors import LogUnavailable
from instrument_cache.kafka import Span
from instrument_cache.reconcile.model import Progress
from instrument_cache.store.interface import VersionedStore

logger = structlog.get_logger()
# What the source tells reaches the log within so much, if the feed lives.
FEED_S: Final = 2.0
_POLL_S: Final = 0.2


class Settling(Protocol):
    """Lets the stream catch up."""

    def wait(self, progress: Progress) -> bool:
        """True once all that the source held when this was called is applied; False if the time ran out."""
        ...


class LogSettling:
    """By the log: what it held `feed_s` from now must be accounted as applied. No clock of another machine matters."""

    def __init__(
        self,
        store: VersionedStore,
        spans: Callable[[], Mapping[int, Span]],
        grace_s: float,
        feed_s: float = FEED_S,
        sleep: Callable[[float], None] = time.sleep,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store, self._spans, self._grace_s, self._feed_s = store, spans, grace_s, feed_s
        self._sleep, self._monotonic = sleep, monotonic

    def wait(self, progress: Progress) -> bool:
        """Raises StoreUnavailable."""
        began_s = self._monotonic()
        self._sleep(self._feed_s)
        ends = self._ends()
        while True:
            behind = self._behind(ends) if ends is not None else None
            if behind == 0:
                return True
            waited_s = self._monotonic() - began_s
            if waited_s >= self._grace_s:
                logger.warning("stream_not_settled", behind=behind, grace_s=self._grace_s)
                return False
            progress("settling", round(waited_s), round(self._grace_s))
            self._sleep(_POLL_S)
            ends = ends if ends is not None else self._ends()

    def _ends(self) -> dict[int, int] | None:
        try:
            return {partition: span.end for partition, span in self._spans().items()}
        except LogUnavailable as error:
            logger.warning("log_unavailable", error=str(error))
            return None

    def _behind(self, ends: Mapping[int, int]) -> int:
        positions = self._store.positions(list(ends))
        return sum(max(0, end - max(0, positions[partition].next)) for partition, end in ends.items())
