"""Real Redis: minutes are measured, kept within bounds, and come to a report."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import msgspec
import redis

from instrument_cache.clock import FakeClock
from instrument_cache.reports import Summary
from instrument_cache.slo import sample as sample_module
from instrument_cache.slo.measuring import Measuring
from instrument_cache.slo.objectives import Thresholds
from instrument_cache.slo.sample import Sample, SampleLog
from lookup_app.metrics import LookupMetrics
from tests.servers import free_port

LIMITS = Thresholds()


class Lookup:
    """The pages of a lookup service that a test fills."""

    def __init__(self) -> None:
        self.metrics, self.ready, self.url = LookupMetrics(lambda: None), True, ""

    def answer(self, status: int, latency_s: float, count: int = 1) -> None:
        for _ in range(count):
            self.metrics.observe("instruments", "by_key", "ok", status, latency_s)


@contextmanager
def lookup() -> Iterator[Lookup]:
    served = Lookup()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = served.metrics.exposition() if self.path == "/metrics" else b"{}"
            self.send_response(200 if served.ready or self.path == "/metrics" else 503)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    served.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield served
    server.shutdown()
    server.server_close()


def canary(client: redis.Redis, clock: FakeClock, age_s: float) -> None:
    """The account of one partition and its newest canary."""
    client.sadd("account:instruments:partitions", 0)
    client.hset("account:instruments:0", mapping={"start": 0, "next": 1, "applied": 1})
    client.set("canary:instruments:0", b'{"v":%d,"p":0}' % (clock.now_us() - int(age_s * 1e6)))


def proof(client: redis.Redis, clock: FakeClock, **numbers: float) -> None:
    finished = "2025-11-20T21:26:40+00:00"  # the fake clock's first moment
    client.set("report:instruments:reconcile", msgspec.json.encode(Summary("r", finished, True, "", numbers)))


def test_a_good_minute_and_what_makes_it_bad(clean_redis: redis.Redis) -> None:
    clock = FakeClock()
    with lookup() as service:
        measuring = Measuring(clean_redis, "instruments", LIMITS, service.url, clock)
        canary(clean_redis, clock, 1)
        proof(clean_redis, clock)
        measuring.measure()
        service.answer(200, 0.001, 200)
        clock.advance(60)
        canary(clean_redis, clock, 2)
        good = measuring.measure()
        assert (good.fresh, good.available, good.quick, good.equal) == (True, True, True, True)
        assert (good.requests, good.failed, good.p99_ms, good.canary_age_s) == (200, 0, 1, 2)
        assert good.keys == 6
        assert good.memory_bytes

        service.answer(503, 0.3, 5)
        clock.advance(60)
        canary(clean_redis, clock, 9)
        proof(clean_redis, clock, open=1)
        bad = measuring.measure()
        assert (bad.fresh, bad.available, bad.quick, bad.equal) == (False, False, False, False)

        service.ready = False
        clock.advance(60)
        assert measuring.measure().available is False
        clock.advance(150 * 60)
        proof(clean_redis, clock)
        idle = measuring.measure()
        assert (idle.quick, idle.equal) == (None, False), "nobody asked, and the proof is too old"
    assert measuring.measure().available is False, "nobody answers"
    kept = SampleLog(clean_redis, "instruments").minutes(0)
    assert [sample.available for sample in kept] == [True, True, False, False, False]


def test_minutes_without_redis_are_kept_and_written_later(clean_redis: redis.Redis) -> None:
    clock = FakeClock()
    measuring = Measuring(clean_redis, "instruments", LIMITS, None, clock)
    away = redis.Redis(port=free_port(), socket_timeout=0.2)
    measuring._client = away
    measuring._store._client, measuring._log._client = away, away
    assert measuring.measure().fresh is False
    clock.advance(60)
    measuring.measure()
    measuring._client = measuring._store._client = measuring._log._client = clean_redis
    clock.advance(60)
    measuring.measure()
    found = SampleLog(clean_redis, "instruments").minutes(0)
    assert [sample.at_s % 3600 // 60 for sample in found] == [26, 27, 28]


def test_of_two_who_measure_one_counts_and_the_series_is_bounded(clean_redis: redis.Redis) -> None:
    log = SampleLog(clean_redis, "instruments")
    assert log.add(Sample(at_s=60, fresh=True, memory_bytes=1))
    assert not log.add(Sample(at_s=60, fresh=False))
    assert not log.add(Sample(at_s=0, fresh=False))
    for minute in range(2, 600):
        log.add(Sample(at_s=60 * minute, memory_bytes=minute))
    assert [sample.memory_bytes for sample in log.hours(0)] == [1, *range(60, 600, 60)]
    assert [sample.at_s for sample in log.minutes(36_000 - 120)] == [35_880, 35_940]
    assert sample_module.MINUTES_MAX * 120 < 10_000_000


def test_what_another_version_wrote_is_passed_over(clean_redis: redis.Redis) -> None:
    clean_redis.xadd("samples:instruments:minutes", {"b": b'{"new":1}'}, id="1000-1")
    log = SampleLog(clean_redis, "instruments")
    log.add(Sample(at_s=60))
    assert [sample.at_s for sample in log.minutes(0)] == [60]
