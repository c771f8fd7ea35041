"""What the lookup service's own metrics say of the requests of a minute."""

from __future__ import annotations

import pytest

from instrument_cache.slo.requests import Counters, counters_in, p99_ms, since
from lookup_app.metrics import LookupMetrics


def exposition(*requests: tuple[str, int, float]) -> str:
    """(dataset, status, latency in s) of each request."""
    metrics = LookupMetrics(lambda: None)
    for dataset, status, latency_s in requests:
        metrics.observe(dataset, "by_key", "ok", status, latency_s)
    return metrics.exposition().decode()


def test_requests_for_data_count_and_those_of_supervisors_do_not() -> None:
    found = counters_in(exposition(("instruments", 200, 0.002), ("issuers", 503, 0.15), ("", 200, 0.9)))
    assert (found.requests, found.failed) == (2, 1)
    assert (found.within[0.0025], found.within[0.2], found.within[float("inf")]) == (1, 2, 2)


def test_a_service_without_requests() -> None:
    found = counters_in(exposition())
    assert found == Counters(0, 0, {})
    assert p99_ms(found) is None


@pytest.mark.parametrize(("slow", "expected_ms"), [(0, 1), (1, 1), (3, 200)])
def test_the_latency_of_99_percent(slow: int, expected_ms: float) -> None:
    requests = [("instruments", 200, 0.0008)] * (100 - slow) + [("instruments", 200, 0.15)] * slow
    assert p99_ms(counters_in(exposition(*requests))) == expected_ms


def test_a_minute_is_the_difference_between_two_looks() -> None:
    before = counters_in(exposition(*[("instruments", 200, 0.1)] * 5))
    now = counters_in(exposition(*[("instruments", 200, 0.1)] * 5, ("instruments", 503, 0.001)))
    passed = since(before, now)
    assert (passed.requests, passed.failed, p99_ms(passed)) == (1, 1, 1)


def test_a_service_that_was_started_again_counts_from_zero() -> None:
    before = counters_in(exposition(*[("instruments", 200, 0.1)] * 5))
    now = counters_in(exposition(("instruments", 200, 0.001)))
    assert since(before, now) == now
