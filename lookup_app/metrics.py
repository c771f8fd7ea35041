"""What Prometheus may know of the lookup service: requests, reads of the cache, and gauges that the parts give.

Requests are counted in plain numbers in this process, and become Prometheus's samples when somebody asks. Of several
workers, each writes its numbers to a folder that they share, and whoever is asked adds them up.
"""

from __future__ import annotations

import os
import threading
from bisect import bisect_left
from collections.abc import Callable
from typing import Final

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest

from instrument_cache.errors import StoreUnavailable
from lookup_app.metric_families import STORE_UP, FamilyCollector, Gauge, combine
from lookup_app.metric_snapshot import BUCKETS_S, Snapshot, merged
from lookup_app.worker_files import WorkerFiles

FLUSH_S: Final = 1.0


class LookupMetrics:
    """The metrics of one application, in a registry of its own. Safe to share between threads.

    `check` raises StoreUnavailable unless the store answers. `folder` is where several workers add up; None: there is
    one worker.
    """

    def __init__(self, check: Callable[[], object], folder: str | None = None) -> None:
        self._check = check
        self._lock = threading.Lock()
        self._requests: dict[tuple[str, str, str, int], list[float]] = {}
        self._reads: dict[tuple[str, str], int] = {}
        self._gauges: dict[Gauge, Callable[[], float]] = {STORE_UP: self._store_up}
        self._files = WorkerFiles(folder) if folder else None
        self._registry = CollectorRegistry()
        self._registry.register(FamilyCollector(self._total))
        ProcessCollector(registry=self._registry)
        if self._files is not None:
            self._files.keep_written(self._for_others, FLUSH_S)

    def observe(self, dataset: str, route: str, outcome: str, status: int, latency_s: float) -> None:
        """Count one answered request. `dataset` is "" where there is none."""
        bucket = bisect_left(BUCKETS_S, latency_s) + 1
        with self._lock:
            cells = self._requests.get((dataset, route, outcome, status))
            if cells is None:
                cells = self._requests[dataset, route, outcome, status] = [0.0] * (len(BUCKETS_S) + 2)
            cells[0] += latency_s
            cells[bucket] += 1

    def hit(self, dataset: str, route: str, latency_s: float) -> None:
        """Count a request with status 200 that the near cache answered alone, and its read of one key."""
        bucket = bisect_left(BUCKETS_S, latency_s) + 1
        with self._lock:
            try:
                cells = self._requests[dataset, route, "ok", 200]
            except KeyError:
                cells = self._requests[dataset, route, "ok", 200] = [0.0] * (len(BUCKETS_S) + 2)
            cells[0] += latency_s
            cells[bucket] += 1
            self._reads[dataset, "hit"] = self._reads.get((dataset, "hit"), 0) + 1

    def reads(self, dataset: str, outcome: str, count: int) -> None:
        """Count keys that were read: `hit`, `miss`, `stale` or `error`."""
        with self._lock:
            self._reads[dataset, outcome] = self._reads.get((dataset, outcome), 0) + count

    def show(self, gauge: Gauge, read: Callable[[], float]) -> None:
        """Have a gauge read with each scrape."""
        self._gauges[gauge] = read

    def exposition(self) -> bytes:
        """All metrics in Prometheus's text format, those of every worker added up."""
        return generate_latest(self._registry)

    def _total(self) -> Snapshot:
        own = self._snapshot(self._gauges)
        return own if self._files is None else merged([own, *self._files.others()], combine)

    def _for_others(self) -> Snapshot:
        """Without asking the store: that is for who is scraped."""
        return self._snapshot({gauge: read for gauge, read in self._gauges.items() if gauge is not STORE_UP})

    def _snapshot(self, gauges: dict[Gauge, Callable[[], float]]) -> Snapshot:
        shown = {gauge.name: float(read()) for gauge, read in gauges.items()}
        with self._lock:
            requests = {key: list(cells) for key, cells in self._requests.items()}
            return Snapshot(os.getpid(), [*requests.items()], [*self._reads.items()], shown)

    def _store_up(self) -> float:
        """A store that is away is a fact to report, not a failed scrape."""
        try:
            self._check()
        except StoreUnavailable:
            return 0.0
        return 1.0
