"""Metrics count requests by what became of them, and report the store's own accounting."""

from __future__ import annotations

from typing import Any

from flask.testing import FlaskClient
from prometheus_client.parser import text_string_to_metric_families

from instrument_cache.store.interface import Entry, Position


def samples(client: FlaskClient) -> dict[tuple[str, ...], float]:
    """{(name, label values in the order of their names…): value} of everything that /metrics says."""
    answer = client.get("/metrics")
    assert answer.status_code == 200
    found = [sample for family in text_string_to_metric_families(answer.text) for sample in family.samples]
    return {(sample.name, *[sample.labels[name] for name in sorted(sample.labels)]): sample.value for sample in found}


def test_requests_by_route_outcome_and_status(client: FlaskClient) -> None:
    client.get("/v1/instruments/037833100")
    client.get("/v1/instruments/023135106")
    client.get("/v1/instruments/nonsense")
    client.get("/healthz")
    client.get("/nowhere/at/all")
    seen = samples(client)
    name = "instrument_cache_lookup_requests_total"
    assert seen[name, "unknown-instrument", "by_key", "404"] == 2
    assert seen[name, "invalid-identifier", "by_key", "400"] == 1
    assert seen[name, "ok", "healthz", "200"] == 1
    assert seen[name, "no-such-route", "unmatched", "404"] == 1
    assert seen["instrument_cache_lookup_latency_seconds_count", "by_key"] == 3


def test_the_stores_accounting(client: FlaskClient, store: Any) -> None:
    store.settle([Entry(0, 1, Position(), Position(0, 9), {"applied": 7, "rejected": 2, "ties": 1})], {}, {})
    seen = samples(client)
    changes = {key[1]: value for key, value in seen.items() if key[0] == "instrument_cache_changes_total"}
    assert changes == {"applied": 7, "duplicate": 0, "stale": 0, "superseded": 0, "rejected": 2}
    assert seen[("instrument_cache_ties_total",)] == 1
    assert seen[("instrument_cache_store_up",)] == 1


def test_a_store_that_is_away_is_reported(client: FlaskClient, store: Any) -> None:
    store.away = True
    seen = samples(client)
    assert seen[("instrument_cache_store_up",)] == 0
    assert not any(key[0] == "instrument_cache_changes_total" for key in seen)


def test_the_process_is_measured(client: FlaskClient) -> None:
    assert samples(client)[("process_resident_memory_bytes",)] > 0
