"""The names, labels and texts of the lookup service's metrics. docs/metrics.md has a row for each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from typing import Final, NamedTuple

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from lookup_app.metric_snapshot import BUCKETS_S, Snapshot

_BOUNDS: Final = (*map(floatToGoString, BUCKETS_S), "+Inf")


class Gauge(NamedTuple):
    """A gauge, and how the values of several workers become one."""

    name: str
    text: str
    combine: Callable[[Sequence[float]], float]


STORE_UP: Final = Gauge("instrument_cache_store_up", "1 if the store answered this scrape, else 0.", max)
BREAKER_OPEN: Final = Gauge(
    "instrument_cache_lookup_breaker_open", "1 while reads of the store are refused at once because it hangs.", max
)
CACHE_BYTES: Final = Gauge("instrument_cache_lookup_cache_bytes", "Memory that the near caches take.", sum)
CACHE_ENTRIES: Final = Gauge("instrument_cache_lookup_cache_entries", "Keys in the near caches.", sum)
STALE_S: Final = Gauge(
    "instrument_cache_lookup_stale_seconds", "Upper bound of the age of stale answers; 0 while they are fresh.", max
)
GAUGES: Final = (STORE_UP, BREAKER_OPEN, CACHE_BYTES, CACHE_ENTRIES, STALE_S)
_RULES: Final = {gauge.name: gauge.combine for gauge in GAUGES}


def combine(name: str, values: Sequence[float]) -> float:
    """The one value of a gauge of which each worker has one."""
    return float(_RULES[name](values))


class FamilyCollector(Collector):
    """A snapshot, taken at each scrape, as Prometheus's families."""

    def __init__(self, snapshot: Callable[[], Snapshot]) -> None:
        self._snapshot = snapshot

    def describe(self) -> list[Metric]:
        """Nothing: to name the metrics, the registry need not ask the store."""
        return []

    def collect(self) -> Iterator[Metric]:
        snapshot = self._snapshot()
        yield _requests(snapshot)
        yield _latency(snapshot)
        yield _reads(snapshot)
        yield from _gauges(snapshot)


def _requests(snapshot: Snapshot) -> Metric:
    text = (
        "Requests answered, by dataset, route, outcome (ok, not-modified or the type of the problem) and HTTP status."
    )
    labels = ["dataset", "route", "outcome", "status"]
    family = CounterMetricFamily("instrument_cache_lookup_requests", text, labels=labels)
    for (dataset, route, outcome, status), cells in snapshot.requests:
        family.add_metric([dataset, route, outcome, str(status)], sum(cells[1:]))
    return family


def _latency(snapshot: Snapshot) -> Metric:
    text = "Time from the request's arrival in the application to its answer."
    family = HistogramMetricFamily("instrument_cache_lookup_latency_seconds", text, labels=["dataset", "route"])
    sums: dict[tuple[str, str], list[float]] = {}
    for (dataset, route, _, _), cells in snapshot.requests:
        held = sums.get((dataset, route), [0.0] * len(cells))
        sums[dataset, route] = [a + b for a, b in zip(held, cells, strict=True)]
    for labels, (total_s, *counts) in sums.items():
        buckets = list(zip(_BOUNDS, accumulate(counts), strict=True))
        family.add_metric(list(labels), buckets, total_s)
    return family


def _reads(snapshot: Snapshot) -> Metric:
    text = "Keys that were read: hit (near cache), miss (asked of the store), stale or error."
    family = CounterMetricFamily("instrument_cache_lookup_reads", text, labels=["dataset", "outcome"])
    for labels, count in snapshot.reads:
        family.add_metric(list(labels), count)
    return family


def _gauges(snapshot: Snapshot) -> Iterator[Metric]:
    for gauge in GAUGES:
        if gauge.name in snapshot.gauges:
            yield GaugeMetricFamily(gauge.name, gauge.text, value=snapshot.gauges[gauge.name])
