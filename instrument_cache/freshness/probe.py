"""Looks at a dataset again and again: a job that stands still shows only between two looks."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Final, NamedTuple, Protocol

import msgspec

from instrument_cache.account import PartitionAccount
from instrument_cache.canary import stored_key, written_at_us
from instrument_cache.clock import Clock, SystemClock
from instrument_cache.errors import LogUnavailable, StoreUnavailable
from instrument_cache.feed_state import FeedState
from instrument_cache.freshness.model import Freshness, LagSummary, Limits, PartitionFreshness, judge, worst
from instrument_cache.freshness.sentence import sentence
from instrument_cache.lag import LagHistogram
from instrument_cache.store.interface import VersionedStore

_QUANTILES: Final = (0.5, 0.99)


class LogSpan(Protocol):
    """The offsets that a partition of the log keeps: from `start` up to, and without, `end`."""

    @property
    def start(self) -> int: ...
    @property
    def end(self) -> int: ...


LogSpans = Callable[[], Mapping[int, LogSpan]]
_Progress = tuple[int, int]


class StoreFigures(NamedTuple):
    """What Redis knows: the account and the time of the newest canary by partition, and the lags by stage."""

    accounts: dict[int, PartitionAccount]
    canary_at_us: dict[int, int | None]
    lags: dict[str, LagHistogram]


def read_figures(store: VersionedStore, dataset: str) -> StoreFigures:
    """Raises StoreUnavailable."""
    accounts = store.accounts()
    stored = store.get_many([stored_key(dataset, at) for at in accounts])
    return StoreFigures(accounts, dict(zip(accounts, map(written_at_us, stored), strict=True)), store.lags())


class FreshnessProbe:
    """Looks at one dataset. It remembers since when each partition stands still, so keep it from look to look.

    `log_spans` tells what each partition of the log keeps, and may raise LogUnavailable (it is given, because Flink's
    environment has no Kafka client); `feed_state` tells what the feed says of itself. `monotonic` is a clock in seconds
    that nobody sets.
    """

    def __init__(
        self,
        store: VersionedStore,
        dataset: str,
        log_spans: LogSpans,
        limits: Limits,
        *,
        feed_state: Callable[[], FeedState | None] = lambda: None,
        clock: Clock | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store, self._dataset, self._limits = store, dataset, limits
        self._log_spans, self._feed_state = log_spans, feed_state
        self._clock, self._monotonic = clock or SystemClock(), monotonic
        self._standing: dict[int, tuple[_Progress, float]] = {}

    def look(self) -> Freshness:
        """How fresh the dataset is now. Raises StoreUnavailable; without Kafka it says what Redis alone tells."""
        try:
            figures = read_figures(self._store, self._dataset)
        except StoreUnavailable:
            self.forget()
            raise
        return self.assess(figures, self._spans())

    def forget(self) -> None:
        """Without Redis no job can apply anything: what stood still meanwhile proves nothing."""
        self._standing.clear()

    def assess(self, figures: StoreFigures, spans: Mapping[int, LogSpan]) -> Freshness:
        """What these figures say, which should have been read before the spans; no spans: Kafka does not answer."""
        names = sorted(figures.accounts.keys() | spans.keys())
        now_us = self._clock.now_us()
        found = tuple(self._partition(at, figures, spans.get(at), now_us) for at in names)
        verdict = worst([partition.verdict for partition in found])
        feed = self._feed_state()
        return Freshness(
            dataset=self._dataset,
            at_us=now_us,
            verdict=verdict,
            message=sentence(verdict, found, feed, now_us),
            canary_age_s_max=max((at.canary_age_s for at in found if at.canary_age_s is not None), default=None),
            partitions=found,
            lags={stage: _summary(histogram) for stage, histogram in figures.lags.items()},
            feed=feed,
        )

    def _spans(self) -> Mapping[int, LogSpan]:
        with suppress(LogUnavailable):
            return self._log_spans()
        return {}

    def _partition(self, at: int, figures: StoreFigures, span: LogSpan | None, now_us: int) -> PartitionFreshness:
        account, canary_at_us = figures.accounts.get(at), figures.canary_at_us.get(at)
        progress = (account.next, account.replayed) if account else (0, 0)
        # What was compacted away waits for nobody; and an end before `next` is that of a topic that was made anew.
        behind = None if span is None else max(span.end - max(progress[0], span.start), 0)
        found = PartitionFreshness(
            partition=at,
            next=progress[0],
            end=None if span is None else span.end,
            behind=behind,
            canary_age_s=None if canary_at_us is None else (now_us - canary_at_us) / 1e6,
            standing_s=self._standing_s(at, progress, behind),
        )
        return msgspec.structs.replace(found, verdict=judge(found, self._limits))

    def _standing_s(self, at: int, progress: _Progress, behind: int | None) -> float:
        """For how long nothing has moved. A job that replays what it applied before is at work too."""
        if not behind:  # or Kafka does not say: without it no job can go on, so that proves nothing either
            self._standing.pop(at, None)
            return 0.0
        now_s = self._monotonic()
        seen, since_s = self._standing.get(at, (progress, now_s))
        if seen != progress:
            since_s = now_s
        self._standing[at] = (progress, since_s)
        return now_s - since_s


def _summary(histogram: LagHistogram) -> LagSummary:
    p50_ms, p99_ms = (histogram.quantile_ms(share) for share in _QUANTILES)
    return LagSummary(histogram.total, p50_ms, p99_ms)
