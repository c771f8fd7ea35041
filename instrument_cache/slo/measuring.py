"""Measures the minute that has just passed."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any, Final, NamedTuple

import msgspec
import redis
from redis.exceptions import RedisError

from instrument_cache.clock import Clock, SystemClock
from instrument_cache.errors import StoreUnavailable
from instrument_cache.freshness import StoreFigures, read_figures
from instrument_cache.reports import Summary, newest
from instrument_cache.slo.objectives import Thresholds
from instrument_cache.slo.requests import Counters, is_ready, p99_ms, read_counters, since
from instrument_cache.slo.sample import MINUTE_S, Sample, SampleLog
from instrument_cache.store.redis import RedisStore

# While Redis is away the samples wait here, a day of them.
_WAITING_MAX: Final = 1440


class _Told(NamedTuple):
    """What Redis tells."""

    figures: StoreFigures
    proof: Summary | None
    keys: int
    info: Mapping[str, Any]


class Measuring:
    """Takes one sample at each call of `measure`, and keeps it. For one thread.

    `lookup_url` is the lookup service; None: it is not measured. The first sample of requests after a start has no
    look before it and tells of none.
    """

    def __init__(
        self,
        client: redis.Redis,
        dataset: str,
        limits: Thresholds,
        lookup_url: str | None,
        clock: Clock | None = None,
    ) -> None:
        self._client: Any = client
        self._dataset, self._limits, self._lookup_url = dataset, limits, lookup_url
        self._clock = clock or SystemClock()
        self._store, self._log = RedisStore(client, dataset), SampleLog(client, dataset)
        self._counters: Counters | None = None
        self._waiting: deque[Sample] = deque(maxlen=_WAITING_MAX)

    def measure(self) -> Sample:
        """The minute until now. Never raises for a part that is away: that is what it measures."""
        now_s = self._clock.now_us() / 1e6
        # It is asked at the end of a minute, or a little later.
        sample = Sample(at_s=int((now_s - MINUTE_S / 2) // MINUTE_S) * MINUTE_S)
        sample = self._with_redis(sample, now_s)
        sample = self._with_lookup(sample)
        self._waiting.append(sample)
        with suppress(StoreUnavailable):
            while self._waiting:
                self._log.add(self._waiting[0])
                self._waiting.popleft()
        return sample

    def _with_redis(self, sample: Sample, now_s: float) -> Sample:
        try:
            told = self._told()
        except (StoreUnavailable, RedisError):
            # Nobody reads or writes: the cache is not fresh. What the last proof said stays unknown.
            return msgspec.structs.replace(sample, fresh=False)
        age_s = canary_age_s(told.figures, now_s)
        return msgspec.structs.replace(
            sample,
            fresh=age_s is not None and age_s <= self._limits.canary_age_s_max,
            canary_age_s=None if age_s is None else round(age_s, 2),
            equal=is_proved(told.proof, now_s, self._limits.proof_minutes_max),
            keys=told.keys,
            memory_bytes=int(told.info["used_memory"]),
            memory_bytes_max=int(told.info.get("maxmemory", 0)),
            file_bytes=int(told.info.get("aof_current_size", 0)),
        )

    def _told(self) -> _Told:
        figures = read_figures(self._store, self._dataset)
        proof = newest(self._client, self._dataset, "reconcile")
        return _Told(figures, proof, int(self._client.dbsize()), self._client.info())

    def _with_lookup(self, sample: Sample) -> Sample:
        if self._lookup_url is None:
            return sample
        ready, counters = is_ready(self._lookup_url), read_counters(self._lookup_url)
        if counters is None:
            return msgspec.structs.replace(sample, available=False)
        before, self._counters = self._counters, counters
        if before is None:
            return msgspec.structs.replace(sample, available=ready)
        passed = since(before, counters)
        found_ms = p99_ms(passed)
        return msgspec.structs.replace(
            sample,
            available=ready and passed.failed <= passed.requests * self._limits.failed_permille_max / 1000,
            quick=None if found_ms is None else found_ms <= self._limits.p99_ms_max,
            requests=int(passed.requests),
            failed=int(passed.failed),
            # JSON has no infinity.
            p99_ms=None if found_ms is None or math.isinf(found_ms) else found_ms,
        )


def canary_age_s(figures: StoreFigures, now_s: float) -> float | None:
    """How old the canary of the worst partition is; None if a partition has none."""
    written = list(figures.canary_at_us.values())
    if not written or None in written:
        return None
    return max(now_s - min(at_us for at_us in written if at_us is not None) / 1e6, 0.0)


def is_proved(proof: Summary | None, now_s: float, minutes_max: float) -> bool | None:
    """Whether the newest proof is good and young; None if there was never one."""
    if proof is None:
        return None
    age_s = now_s - datetime.fromisoformat(proof.finished_at).timestamp()
    return proof.ok and not proof.numbers.get("open") and age_s <= minutes_max * 60
