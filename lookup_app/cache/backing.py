"""What stands behind the services of a process: Redis, the near cache before it, and the threads that keep it true."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from functools import partial

from instrument_cache.connections import redis_client
from instrument_cache.contract import Contract
from instrument_cache.errors import StoreUnavailable
from lookup_app.cache.hot_keys import HotKeys
from lookup_app.cache.near_cache import NearCache
from lookup_app.cache.reader import CachedReader
from lookup_app.cache.settings import CacheSettings
from lookup_app.cache.tracking import Tracker
from lookup_app.cache.warm_up import Warmed, WarmUp
from lookup_app.datasets import Readiness
from lookup_app.deadline import Links
from lookup_app.fail_fast import FailFast
from lookup_app.redis_reader import RedisReader

# count(dataset, outcome, number of keys): outcome is hit, miss, stale or error.
CountReads = Callable[[str, str, int], None]
_HOT_KEYS_TIMEOUT_S = 2.0
# What is asked of Redis to see whether it answers: a key that nothing has.
_PROBE = ("lookup:",)


class Backing:
    """Implements `lookup_app.datasets.Backing`. Connects to nothing, and starts no thread, before the first read."""

    def __init__(
        self, redis_url: str, timeout_s: float, settings: CacheSettings, contracts: Sequence[Contract]
    ) -> None:
        links = Links(redis_client(redis_url, name="lookup", timeout_s=timeout_s))
        reader = RedisReader(links, timeout_s)
        self._settings = settings
        self.cache = NearCache(settings.bytes_max, settings.freshness_s)
        self.breaker = FailFast(reader, slow_s=timeout_s / 2)
        self.readers = {contract.dataset: self._reader(contract) for contract in contracts}
        hot_keys_client = redis_client(redis_url, name="lookup-hot-keys", timeout_s=_HOT_KEYS_TIMEOUT_S)
        self.hot_keys = {
            contract.dataset: HotKeys(hot_keys_client, contract.dataset, settings.hot_keys) for contract in contracts
        }
        self._prefixes = prefixes(contracts)
        self.links, self.redis_reader = links, reader
        self._lock = threading.Lock()
        self._pid: int | None = None
        self._tracker: Tracker | None = None
        self._warm_up: WarmUp | None = None

    def start(self) -> None:
        if self._pid == os.getpid():
            return
        with self._lock:
            if self._pid == os.getpid():
                return
            self._tracker = Tracker(self.links, self.cache, self.redis_reader, self.breaker, self._prefixes)
            self._tracker.start()
            self._warm_up = self._new_warm_up()
            self._pid = os.getpid()

    def stop(self) -> None:
        """Let the threads end."""
        for worker in (self._tracker, self._warm_up):
            if worker is not None:
                worker.stop()

    def readiness(self) -> Readiness:
        self.start()
        missing = () if self._warm_up is None or self._warm_up.done else ("warm-up",)
        try:
            self.check()
        except StoreUnavailable:
            age_s = self.cache.monotonic() - self.cache.coherent_as_of_s
            if self.cache.entries and age_s <= self._settings.stale_s_max:
                return Readiness(missing, age_s)
            return Readiness(("redis", *missing))
        return Readiness(missing)

    def check(self) -> None:
        self.breaker.fetch(_PROBE)

    def count_reads(self, count: CountReads) -> None:
        """Have every read counted."""
        for dataset, reader in self.readers.items():
            reader.count = partial(count, dataset)

    def _reader(self, contract: Contract) -> CachedReader:
        return CachedReader(self.breaker, self.cache, contract, self._settings.stale_s_max, self.start)

    def _new_warm_up(self) -> WarmUp | None:
        """None if there is nothing to load, or nowhere to load it to."""
        if not self._settings.hot_keys or not self._settings.bytes_max:
            return None
        warmed = [Warmed(reader, self.hot_keys[dataset]) for dataset, reader in self.readers.items()]
        for reader, hot_keys in warmed:
            reader.missed = hot_keys.missed
        warm_up = WarmUp(self.cache, warmed, self._settings.warm_up_s_max)
        warm_up.start()
        return warm_up


def prefixes(contracts: Sequence[Contract]) -> tuple[str, ...]:
    """Every prefix of the keys of these datasets, without the colon."""
    found = [p for contract in contracts for p in (contract.key_prefix, *(a.prefix for a in contract.aliases))]
    return tuple(dict.fromkeys(found))
