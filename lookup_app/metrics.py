"""What Prometheus may know: this process's requests, and the store's accounting of changes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from instrument_cache.change import Outcome
from instrument_cache.errors import StoreUnavailable

_BUCKETS_S: Final = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.5, 1.0)


class LookupMetrics:
    """The metrics of one application, in a registry of its own."""

    def __init__(self, counters: Callable[[], dict[str, int]]) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "instrument_cache_lookup_requests",
            "Requests answered, by route, outcome (ok, not-modified or the type of the problem) and HTTP status.",
            ["route", "outcome", "status"],
            registry=self._registry,
        )
        self._latency_s = Histogram(
            "instrument_cache_lookup_latency_seconds",
            "Time from the request's arrival in the application to its answer.",
            ["route"],
            buckets=_BUCKETS_S,
            registry=self._registry,
        )
        self._registry.register(_StoreCollector(counters))
        ProcessCollector(registry=self._registry)

    def observe(self, route: str, outcome: str, status: int, latency_s: float) -> None:
        """Count one answered request."""
        self._requests.labels(route, outcome, str(status)).inc()
        self._latency_s.labels(route).observe(latency_s)

    def exposition(self) -> bytes:
        """All metrics in Prometheus's text format."""
        return generate_latest(self._registry)


class _StoreCollector(Collector):
    """Reads the store's counters at each scrape. A store that is away is a fact to report, not a failed scrape."""

    def __init__(self, counters: Callable[[], dict[str, int]]) -> None:
        self._counters = counters

    def collect(self) -> Iterator[Metric]:
        up = GaugeMetricFamily("instrument_cache_store_up", "1 if the store answered this scrape, else 0.")
        try:
            counters = self._counters()
        except StoreUnavailable:
            up.add_metric([], 0)
            yield up
            return
        up.add_metric([], 1)
        yield up
        yield from _accounting(counters)


def _accounting(counters: dict[str, int]) -> Iterator[Metric]:
    changes = CounterMetricFamily(
        "instrument_cache_changes", "Changes that the stream brought, by what became of them.", labels=["outcome"]
    )
    for outcome in Outcome:
        changes.add_metric([outcome.value], counters.get(outcome, 0))
    yield changes
    help_text = "Changes decided between equal versions; each is also counted as applied or stale."
    yield CounterMetricFamily("instrument_cache_ties", help_text, value=counters.get("ties", 0))
