"""Loads the hottest keys before the first caller, then keeps count of them."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Final, NamedTuple

import structlog
from redis.exceptions import RedisError

from instrument_cache.errors import StoreUnavailable
from lookup_app.cache.hot_keys import HotKeys
from lookup_app.cache.near_cache import NearCache
from lookup_app.cache.reader import CachedReader

logger = structlog.get_logger(component="lookup")
_KEYS_PER_READ: Final = 200
_FLUSH_S: Final = 10.0
_TRY_AGAIN_S: Final = 0.05
# Of the cache: what is loaded must not push itself out.
_FILL_MAX: Final = 0.9


class Warmed(NamedTuple):
    """What one dataset loads, and where it knows its hottest keys from."""

    reader: CachedReader
    hot_keys: HotKeys


class WarmUp:
    """A thread that loads, within `s_max` seconds, what was hot before; `done` when it has, or gave up."""

    def __init__(self, cache: NearCache, datasets: Sequence[Warmed], s_max: float) -> None:
        self._cache, self._datasets, self._s_max = cache, datasets, s_max
        self._stopped = threading.Event()
        self.done = False

    def start(self) -> None:
        threading.Thread(target=self._run, name="near-cache-warm-up", daemon=True).start()

    def stop(self) -> None:
        self._stopped.set()

    def _run(self) -> None:
        self._load_in_time()
        while not self._stopped.wait(_FLUSH_S):
            for _, hot_keys in self._datasets:
                try:
                    hot_keys.flush()
                except RedisError as error:
                    logger.debug("hot_keys_not_counted", error=str(error))

    def _load_in_time(self) -> None:
        began_s = self._cache.monotonic()
        try:
            loaded = self._load(began_s + self._s_max)
            logger.info("warmed_up", keys=loaded, seconds=round(self._cache.monotonic() - began_s, 3))
        except Exception as error:  # a cold cache is slow, and no reason to serve nobody
            logger.warning("not_warmed_up", error=str(error))
        self.done = True

    def _load(self, until_s: float) -> int:
        """Raises StoreUnavailable when the time is over."""
        loaded = 0
        for reader, hot_keys in self._datasets:
            keys = self._hottest(hot_keys, until_s)
            for at in range(0, len(keys), _KEYS_PER_READ):
                if self._cache.bytes_used > _FILL_MAX * self._cache.bytes_max:
                    return loaded
                self._read(reader, keys[at : at + _KEYS_PER_READ], until_s)
                loaded += len(keys[at : at + _KEYS_PER_READ])
        return loaded

    def _hottest(self, hot_keys: HotKeys, until_s: float) -> list[str]:
        while True:
            try:
                # Nothing is kept before the tracking has begun.
                if self._cache.monotonic() <= self._cache.fresh_until_s:
                    return hot_keys.hottest()
            except RedisError as error:
                logger.debug("hot_keys_not_read", error=str(error))
            self._pause(until_s)

    def _read(self, reader: CachedReader, keys: list[str], until_s: float) -> None:
        while True:
            try:
                return reader.load(keys)
            except StoreUnavailable:
                self._pause(until_s)

    def _pause(self, until_s: float) -> None:
        if self._cache.monotonic() > until_s or self._stopped.wait(_TRY_AGAIN_S):
            raise StoreUnavailable(f"Redis was not read in the {self._s_max:g} s that the warm-up may take")
