"""One scrape: ask every part, and report whatever was answered."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from exporter.families import Families
from instrument_cache.asking.parts import Part, SlowPart, ask_all
from instrument_cache.clock import Clock, SystemClock
from instrument_cache.freshness import FreshnessProbe


class StreamCollector(Collector):
    """The metrics of one dataset. A part that is away is a fact to report, never a failed scrape."""

    def __init__(
        self,
        dataset: str,
        parts: list[Part],
        check: SlowPart,
        probe: FreshnessProbe,
        deadline_s: float,
        clock: Clock | None = None,
    ) -> None:
        self._families = Families(dataset)
        self._dataset, self._parts, self._probe, self._deadline_s = dataset, parts, probe, deadline_s
        self._check, self._clock = check, clock or SystemClock()
        # Scrapes may overlap, and the probe remembers what it saw.
        self._lock = threading.Lock()

    def describe(self) -> list[Metric]:
        """Nothing: registering must not scrape."""
        return []

    def collect(self) -> Iterator[Metric]:
        began_s = time.monotonic()
        answers = ask_all(self._parts, self._deadline_s)
        yield from self._families.up({part.name: part.name in answers for part in self._parts})
        with self._lock:
            metrics = list(self._metrics(dict(answers)))
        yield from metrics
        took = GaugeMetricFamily("icache_scrape_seconds", "How long it took to ask every part.", labels=("dataset",))
        took.add_metric([self._dataset], time.monotonic() - began_s)
        yield took

    def _metrics(self, answers: dict[str, Any]) -> Iterator[Metric]:
        spans = answers.get("kafka", {})
        yield from self._families.log(spans)
        if redis := answers.get("redis"):
            yield from self._families.account(redis.store.accounts)
            yield from self._families.lags(redis.store.lags)
            yield from self._families.redis(redis)
            yield from self._families.operations(redis.operations)
            yield from self._families.freshness(self._probe.assess(redis.store, spans))
        else:
            self._probe.forget()
        if (wrong := self._check.latest()) is not None:
            yield from self._families.discrepancies(wrong)
        if feed := answers.get("feed"):
            yield from self._families.feed(feed, self._clock.now_us())


def registry(collector: StreamCollector) -> CollectorRegistry:
    """A registry of its own, with the exporter's process in it."""
    made = CollectorRegistry()
    made.register(collector)
    ProcessCollector(registry=made)
    return made
