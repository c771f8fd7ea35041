"""One key that the cache does not know: asked of the source once, however many ask, and then not for a while."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, Protocol

import structlog

from instrument_cache.errors import InstrumentCacheError, RejectedChange
from lookup_app.fallback.breaker import Breaker
from lookup_app.fallback.single_flight import SingleFlight
from lookup_app.fallback.source import SourceRow

NEGATIVES_MAX: Final = 10_000
logger = structlog.get_logger(component="lookup")


class Rows(Protocol):
    """Raises SourceUnavailable."""

    def row(self, key: str) -> SourceRow | None: ...


Put = Callable[[str, SourceRow], bytes | None]


class ReadThrough:
    """`put` stores a row under the guard and returns what is held then. A miss of the source is kept `negative_s`."""

    def __init__(
        self,
        rows: Rows,
        put: Put,
        breaker: Breaker,
        wait_s: float,
        negative_s: float,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._rows, self._put, self._breaker, self._monotonic = rows, put, breaker, monotonic
        self._flights: SingleFlight[bytes | None] = SingleFlight(wait_s)
        self._negative_s = negative_s
        self._negatives: dict[str, float] = {}

    def read(self, key: str) -> bytes | None:
        """The stored bytes, or None if the source has nothing that can be kept.

        Raises SourceUnavailable or StoreUnavailable.
        """
        if self._monotonic() < self._negatives.get(key, 0.0):
            return None
        return self._flights.run(key, lambda: self._ask(key))

    def _ask(self, key: str) -> bytes | None:
        try:
            row = self._breaker.call(lambda: self._rows.row(key))
            stored = None if row is None else self._put(key, row)
        except RejectedChange as error:
            # The stream rejects it too, and keeps it with the reason among the dead letters.
            logger.warning("fallback_rejected", key=key, reason=str(error))
            stored = None
        except InstrumentCacheError as error:
            logger.warning("fallback_failed", key=key, reason=str(error))
            raise
        if stored is None:
            self._remember_miss(key)
        logger.info("fallback_read", key=key, found=stored is not None)
        return stored

    def _remember_miss(self, key: str) -> None:
        if len(self._negatives) >= NEGATIVES_MAX:
            self._negatives.clear()
        self._negatives[key] = self._monotonic() + self._negative_s
