"""Waits until the stream has applied what the source held at the first look."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Final, Protocol

import structlog

from instrument_cache.canary import stored_key
from instrument_cache.errors import LogUnavailable
from instrument_cache.kafka import Span
from instrument_cache.reconcile.model import Progress
from instrument_cache.store.interface import VersionedStore

logger = structlog.get_logger()
# Where the feed writes no canaries: what the source tells reaches the log within so much, if the feed lives.
FEED_S: Final = 2.0
_POLL_S: Final = 0.2


class Settling(Protocol):
    """Lets the stream catch up."""

    def wait(self, position: int, progress: Progress) -> str:
        """Empty once all that the source held at `position` is applied; why not, if the time runs out."""
        ...


class Fence(Protocol):
    """Finds where in the log the feed passed a position of the source; see `fence.LogFence`."""

    def ends(self, position: int, wait_s: float) -> Mapping[int, int] | None: ...


class LogSettling:
    """By the log: what the feed had written when it passed the position must be accounted as applied.

    So a feed that is slow is waited for, as the stream is, `grace_s` in all. No clock of another machine matters.
    """

    def __init__(
        self,
        store: VersionedStore,
        dataset: str,
        spans: Callable[[], Mapping[int, Span]],
        fence: Fence,
        grace_s: float,
        sleep: Callable[[float], None] = time.sleep,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store, self._dataset, self._spans, self._fence = store, dataset, spans, fence
        self._grace_s, self._sleep, self._monotonic = grace_s, sleep, monotonic

    def wait(self, position: int, progress: Progress) -> str:
        """Raises StoreUnavailable."""
        began_s = self._monotonic()
        ends = None
        while True:
            waited_s = self._monotonic() - began_s
            ends = ends if ends is not None else self._ends(position, max(_POLL_S, self._grace_s - waited_s))
            missing = self._missing(ends, position)
            if not missing:
                return ""
            waited_s = self._monotonic() - began_s
            if waited_s >= self._grace_s:
                logger.warning("stream_not_settled", why=missing, grace_s=self._grace_s)
                return f"After {self._grace_s:.0f} s {missing}: what it owes may count as differing."
            progress("settling", round(waited_s), round(self._grace_s))
            self._sleep(_POLL_S)

    def _ends(self, position: int, wait_s: float) -> Mapping[int, int] | None:
        try:
            spans = self._spans()
            if position and self._has_canaries(spans):
                return self._fence.ends(position, wait_s)
            self._sleep(FEED_S)
            return {partition: span.end for partition, span in self._spans().items()}
        except LogUnavailable as error:
            logger.warning("log_unavailable", error=str(error))
            return None

    def _has_canaries(self, spans: Mapping[int, Span]) -> bool:
        return any(self._store.get_many([stored_key(self._dataset, partition) for partition in spans]))

    def _missing(self, ends: Mapping[int, int] | None, position: int) -> str:
        """What is waited for, "" if nothing."""
        if ends is None:
            return f"the log did not tell that the feed had passed the source's position {position}"
        applied = self._store.positions(list(ends))
        behind = sum(max(0, end - max(0, applied[partition].next)) for partition, end in ends.items())
        return f"the stream had still to apply {behind:,} records" if behind else ""
