"""Metrics count requests by what became of them, and those of several workers are added up."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

import msgspec
import pytest
from flask.testing import FlaskClient
from prometheus_client.parser import text_string_to_metric_families

from lookup_app.metric_families import BREAKER_OPEN, CACHE_BYTES
from lookup_app.metric_snapshot import BUCKETS_S, Snapshot
from lookup_app.metrics import LookupMetrics

REQUESTS = "instrument_cache_lookup_requests_total"
LATENCY = "instrument_cache_lookup_latency_seconds"
READS = "instrument_cache_lookup_reads_total"
NO_SUCH_PROCESS = 2**22 + 1


def parsed(text: str) -> dict[tuple[str, ...], float]:
    """{(name, label values in the order of their names…): value} of everything that an exposition says."""
    found = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    return {(sample.name, *[sample.labels[name] for name in sorted(sample.labels)]): sample.value for sample in found}


def samples(client: FlaskClient) -> dict[tuple[str, ...], float]:
    answer = client.get("/metrics")
    assert answer.status_code == 200
    return parsed(answer.text)


def shown(metrics: LookupMetrics) -> dict[tuple[str, ...], float]:
    return parsed(metrics.exposition().decode())


def test_requests_by_dataset_route_outcome_and_status(client: FlaskClient) -> None:
    client.get("/v1/instruments/037833100")
    client.get("/v1/instruments/023135106")
    client.get("/v1/instruments/nonsense")
    client.get("/v1/not-served/037833100")
    client.get("/healthz")
    client.get("/nowhere/at/all")
    seen = samples(client)
    assert seen[REQUESTS, "instruments", "unknown-instrument", "by_key", "404"] == 2
    assert seen[REQUESTS, "instruments", "invalid-identifier", "by_key", "400"] == 1
    assert seen[REQUESTS, "", "ok", "healthz", "200"] == 1
    assert seen[REQUESTS, "", "no-such-route", "unmatched", "404"] == 1
    assert seen[f"{LATENCY}_count", "instruments", "by_key"] == 3
    assert not any("not-served" in key for key in seen), "what callers write is no label"


def test_the_streams_own_counters_are_not_here(client: FlaskClient) -> None:
    assert not any("changes" in key[0] or "ties" in key[0] for key in samples(client))


def test_a_store_that_is_away_is_reported(client: FlaskClient, store: Any) -> None:
    assert samples(client)["instrument_cache_store_up",] == 1
    store.away = True
    assert samples(client)["instrument_cache_store_up",] == 0


def test_the_process_is_measured(client: FlaskClient) -> None:
    assert samples(client)["process_resident_memory_bytes",] > 0


@pytest.mark.parametrize("latency_s", [0.0, BUCKETS_S[0], 0.00006, 0.9, 1.0, 5.0])
def test_histogram(latency_s: float) -> None:
    metrics = LookupMetrics(lambda: None)
    metrics.observe("d", "r", "ok", 200, latency_s)
    metrics.observe("d", "r", "ok", 304, latency_s)
    seen = shown(metrics)
    bounds = {key[2]: value for key, value in seen.items() if key[0] == f"{LATENCY}_bucket"}
    assert len(bounds) == len(BUCKETS_S) + 1
    for bound, count in bounds.items():
        assert count == (2 if latency_s <= (math.inf if bound == "+Inf" else float(bound)) else 0)
    assert seen[f"{LATENCY}_sum", "d", "r"] == pytest.approx(2 * latency_s)


def test_reads_and_gauges() -> None:
    metrics = LookupMetrics(lambda: None)
    metrics.reads("d", "hit", 100)
    metrics.reads("d", "hit", 1)
    metrics.show(CACHE_BYTES, lambda: 1234)
    seen = shown(metrics)
    assert (seen[READS, "d", "hit"], seen[CACHE_BYTES.name,]) == (101, 1234)


def left_by(folder: Path, name: str, pid: int, hits: int) -> None:
    requests: Any = [(("d", "by_key", "ok", 200), [0.5, 2.0] + [0.0] * len(BUCKETS_S))]
    snapshot = Snapshot(pid, requests, [(("d", "hit"), hits)], {CACHE_BYTES.name: 10, BREAKER_OPEN.name: 1})
    (folder / name).write_bytes(msgspec.json.encode(snapshot))


def test_workers_are_added_up(tmp_path: Path) -> None:
    metrics = LookupMetrics(lambda: None, str(tmp_path))
    metrics.observe("d", "by_key", "ok", 200, 0.25)
    metrics.reads("d", "hit", 1)
    metrics.show(CACHE_BYTES, lambda: 5)
    metrics.show(BREAKER_OPEN, lambda: 0)
    left_by(tmp_path, f"{os.getppid()}-1.worker", os.getppid(), 100)
    left_by(tmp_path, f"{NO_SUCH_PROCESS}-1.worker", NO_SUCH_PROCESS, 1000)
    (tmp_path / "half.worker").write_bytes(b"[1,")
    seen = shown(metrics)
    assert seen[READS, "d", "hit"] == 1101
    assert (seen[REQUESTS, "d", "ok", "by_key", "200"], seen[f"{LATENCY}_sum", "d", "by_key"]) == (5, 1.25)
    assert seen[f"{LATENCY}_bucket", "d", "+Inf", "by_key"] == 5
    assert seen[CACHE_BYTES.name,] == 15, "a worker that has ended takes no memory"
    assert (seen[BREAKER_OPEN.name,], seen["instrument_cache_store_up",]) == (1, 1)


def test_two_workers_see_each_other(tmp_path: Path) -> None:
    first, second = (LookupMetrics(lambda: None, str(tmp_path)) for _ in range(2))
    first.reads("d", "miss", 3)
    assert first._files is not None
    first._files.write(first._for_others())
    second.reads("d", "miss", 4)
    assert shown(second)[READS, "d", "miss"] == 7


def test_a_hit_is_a_request_and_a_read() -> None:
    quick, usual = LookupMetrics(lambda: None), LookupMetrics(lambda: None)
    for latency_s in (0.00001, 0.3, 7.0):
        quick.hit("instruments", "by_key", latency_s)
        usual.reads("instruments", "hit", 1)
        usual.observe("instruments", "by_key", "ok", 200, latency_s)
    names = (REQUESTS, READS, f"{LATENCY}_sum", f"{LATENCY}_bucket")
    assert [(key, value) for key, value in shown(quick).items() if key[0] in names] == [
        (key, value) for key, value in shown(usual).items() if key[0] in names
    ]
