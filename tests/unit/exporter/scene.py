"""A dataset of two partitions in every state that a metric tells, and an exporter that serves it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import wait
from contextlib import contextmanager
from typing import Any, NamedTuple

import httpx
from prometheus_client.parser import text_string_to_metric_families

from exporter.collector import StreamCollector, registry
from exporter.server import make_server
from instrument_cache.account import Discrepancy, PartitionAccount
from instrument_cache.asking.figures import RedisFigures
from instrument_cache.asking.parts import Part, SlowPart
from instrument_cache.clock import FakeClock
from instrument_cache.feed_state import FeedState
from instrument_cache.freshness import FreshnessProbe, Limits, StalledJob, StoreFigures
from instrument_cache.kafka import Span
from instrument_cache.lag import EDGES_MS, LagHistogram
from instrument_cache.reject_gate import RejectAlarm
from instrument_cache.reports import Summary
from instrument_cache.store.memory import MemoryStore

CLOCK = FakeClock()
NOW_US = CLOCK.now_us()
ACCOUNTS = {
    0: PartitionAccount(0, 5, 115, 60, 20, 10, 5, 5, ties=3, replayed=7, skipped=10, holes=((50, 60),)),
    1: PartitionAccount(1, 0, 50, applied=50),
}
SPANS = {0: Span(5, 120), 1: Span(0, 50)}
LAGS = {"feed": LagHistogram((0, 0, 4, 3, *(0,) * (len(EDGES_MS) - 4), 2), 12_345), "source": LagHistogram()}
FIGURES = RedisFigures(
    store=StoreFigures(ACCOUNTS, {0: NOW_US - 800_000, 1: None}, LAGS),
    alarm=RejectAlarm(since_us=NOW_US, rejected=900, total=1000, share=0.9, sample="malformed_json"),
    stalled=StalledJob("a", NOW_US, "It stands still."),
    keys=4711,
    operations={"reconcile": Summary("run-1", "2025-11-20T21:26:40+00:00", True, "Equal.", {"equal_ratio": 0.5})},
)
FEED = FeedState(
    phase="live", position=9, rows=8, sent=7, unchanged=6, swept=5, sweep_refused=4,
    heard_at=NOW_US - 250_000, source_timestamp=NOW_US - 3_000_000, canary_at=NOW_US - 500_000, updated_at=NOW_US,
)  # fmt: skip
WRONG = [Discrepancy(0, "gap", 50, 53, "3 records were never accounted"), Discrepancy(1, "gap", 7, 8, "1 record")]
Samples = dict[tuple[str, ...], float]


class Scrape(NamedTuple):
    """One answer of /metrics."""

    samples: Samples
    types: dict[str, str]


def collector(
    deadline_s: float = 1.0, check: SlowPart | None = None, **questions: Callable[[], Any]
) -> StreamCollector:
    """An exporter of `issuers` whose parts answer as given, the others as in this module."""
    answers: dict[str, Callable[[], Any]] = {"redis": lambda: FIGURES, "kafka": lambda: SPANS, "feed": lambda: FEED}
    parts = [Part(name, question) for name, question in {**answers, **questions}.items()]
    probe = FreshnessProbe(MemoryStore(), "issuers", lambda: {}, Limits(), clock=CLOCK)
    return StreamCollector("issuers", parts, check or checked(lambda: WRONG), probe, deadline_s, CLOCK)


def checked(question: Callable[[], Any], every_s: float = 600.0) -> SlowPart:
    """A check that has been asked already."""
    check = SlowPart(Part("account-check", question), every_s)
    check.latest()
    assert check._asked is not None
    wait([check._asked], 5)
    return check


@contextmanager
def served(made: StreamCollector) -> Iterator[str]:
    """The URL at which it is served."""
    server = make_server("127.0.0.1", 0, registry(made))
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def scrape(url: str) -> Scrape:
    """{(name, label values in the order of their names, without the dataset…): value} of everything that it says."""
    answer = httpx.get(f"{url}/metrics", trust_env=False, timeout=10)
    assert answer.status_code == 200
    families = list(text_string_to_metric_families(answer.text))
    found: Samples = {}
    for sample in (sample for family in families for sample in family.samples):
        labels = [value for name, value in sorted(sample.labels.items()) if name != "dataset"]
        found[sample.name, *labels] = sample.value
    return Scrape(found, {family.name: family.type for family in families})
