"""Every kind of request, through the hot path and past it: the same answer, byte by byte, at the same charge."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import pytest
from flask import Flask

from instrument_cache.store.redis import RedisStore
from lookup_app.app import BACKING
from lookup_app.config import LookupSettings
from lookup_app.protection.assembly import Protection
from lookup_app.protection.bulkhead import Bulkhead
from lookup_app.protection.gate import Gate
from lookup_app.protection.rate_limit import RateLimit
from lookup_app.protection.settings import BulkheadSettings, RateSettings
from tests.integration.lookup_app.conftest import CONTRACT_PATH
from tests.integration.lookup_app.hot_path.corpus import (
    AHEAD,
    APPLE,
    BROKEN,
    DELETED,
    LOWER,
    MICROSOFT,
    REQUESTS,
    Request,
)
from tests.integration.lookup_app.servers import RedisServer, wait_until

# Of Thursday, 20 November 2025, 21:26:40 UTC.
VERSION = 1_763_674_000_123_456
ISSUERS = CONTRACT_PATH.with_name("issuers.yaml")


def limited() -> Protection:
    """Each request shows in its headers what the ones before it were charged; nothing is given back meanwhile."""
    limit = RateLimit(RateSettings(per_s=1e-6, burst=1_000_000, clients_max=10))
    return Protection(Gate(["instruments", "issuers"], limit=limit), Bulkhead(BulkheadSettings()))


@pytest.fixture
def filled(redis_server: RedisServer, store: RedisStore) -> RedisServer:
    now_us = time.time_ns() // 1000
    ahead, deleted = now_us + 3_600_000_000, now_us - 60_000_000
    store.offer(
        {
            f"instr:{APPLE}": b'{"v":%d,"cusip":"037833100","pme":"P-1","name":"Apple \xc3\xa4"}' % VERSION,
            f"instr:{MICROSOFT}": b'{"v":%d,"cusip":"594918104"}' % VERSION,
            f"instr:{LOWER.upper()}": b'{"v":%d,"cusip":"G0176J109"}' % VERSION,
            f"instr:{DELETED}": b'{"v":%d,"~deleted_at":%d}' % (deleted, deleted),
            f"instr:{AHEAD}": b'{"v":%d,"cusip":"30303M102"}' % ahead,
            f"instr:{BROKEN}": b"garbage",
            "pme:P-1": b'{"v":%d,"cusip":"037833100"}' % VERSION,
        }
    )
    return redis_server


@pytest.fixture
def apps(filled: RedisServer, make_app: Callable[..., Flask]) -> tuple[Flask, Flask]:
    """With the hot path, and without; both with a near cache that is coherent, and warm."""
    settings = LookupSettings(filled.url, (CONTRACT_PATH, ISSUERS))
    made = tuple(make_app(replace(settings, hot_path=hot), protection=limited()) for hot in (True, False))
    for app in made:
        client = app.test_client()
        wait_until(lambda client=client: client.get("/readyz").status_code == 200, "the near cache is warm")
    return made[0], made[1]


Answer = tuple[int, list[tuple[str, str]], bytes]


def answer(app: Flask, request: Request, etag: str) -> Answer:
    """Status, headers in their order, and body. Only the request's id is the service's own choice."""
    got = app.test_client().open(request.path, **request.options(etag))
    own = ("x-request-id",) if got.headers["X-Request-ID"] != dict(request.headers).get("X-Request-ID") else ()
    return got.status_code, [(name, value) for name, value in got.headers if name.lower() not in own], got.data


def etag_of_apple(app: Flask) -> str:
    return str(app.test_client().get(f"/v1/instruments/{APPLE}").headers["ETag"])


def compare(apps: tuple[Flask, Flask], times: int) -> list[int]:
    """Every request, each `times` times: first read, read again, and ready to send. Returns the statuses."""
    hot, plain = apps
    etags = {etag_of_apple(hot), etag_of_apple(plain)}
    assert len(etags) == 1
    etag, statuses = etags.pop(), []
    for request in REQUESTS:
        for _ in range(times):
            by_hot_path, by_flask = answer(hot, request, etag), answer(plain, request, etag)
            assert by_hot_path[0] == by_flask[0], request
            assert by_hot_path[1] == by_flask[1], request
            assert by_hot_path[2] == by_flask[2], request
            statuses.append(by_hot_path[0])
    return statuses


def test_the_same_answers(apps: tuple[Flask, Flask]) -> None:
    statuses = compare(apps, times=3)
    assert {200, 304, 400, 404, 405, 413, 415, 503} <= set(statuses)
    assert 500 not in statuses


def test_the_hot_path_is_taken_for_what_it_is_for(apps: tuple[Flask, Flask], monkeypatch: pytest.MonkeyPatch) -> None:
    hot = apps[0]
    compare(apps, times=3)

    def never(environ: object, start_response: object) -> None:
        raise AssertionError("Flask was asked")

    monkeypatch.setattr(hot.wsgi_app, "_app", never)
    for route in (*hot.wsgi_app._singles.values(), *hot.wsgi_app._batches.values()):  # type: ignore[attr-defined]
        monkeypatch.setattr(route._answering, "app", never)
    client, etag = hot.test_client(), etag_of_apple(hot)
    for path in (APPLE, LOWER, "%20037833100"):
        assert client.get(f"/v1/instruments/{path}").status_code == 200
    assert client.head(f"/v1/instruments/{APPLE}").status_code == 200
    assert client.get(f"/v1/instruments/{APPLE}", headers={"If-None-Match": etag}).status_code == 304
    for ids in ([APPLE, MICROSOFT], [APPLE, "bad", DELETED]):
        assert client.post("/v1/instruments:batch", json={"ids": ids}).status_code == 200


def test_the_same_answers_while_redis_is_away(apps: tuple[Flask, Flask], filled: RedisServer) -> None:
    compare(apps, times=2)
    away(apps, filled)
    statuses = compare(apps, times=2)
    assert {200, 304, 404, 503} <= set(statuses)
    stale = answer(apps[0], Request(f"/v1/instruments/{APPLE}"), "")
    assert {"Warning", "Age"} <= {name for name, _ in stale[1]}


def test_the_same_answers_when_nothing_is_known_and_redis_is_away(
    apps: tuple[Flask, Flask], filled: RedisServer
) -> None:
    for app in apps:
        app.extensions[BACKING].cache.flush()
    away(apps, filled)
    for request in REQUESTS:
        assert answer(apps[0], request, "") == answer(apps[1], request, ""), request


def away(apps: tuple[Flask, Flask], server: RedisServer) -> None:
    """Redis is gone, both caches know it, and for both it is the same moment from now on."""
    server.kill()
    caches = [app.extensions[BACKING].cache for app in apps]
    breakers = [app.extensions[BACKING].breaker for app in apps]

    def lost() -> bool:
        return all(breaker.refuses for breaker in breakers) and all(cache.fresh_until_s < 0 for cache in caches)

    wait_until(lost, "both see that Redis is gone")
    now_s = time.monotonic()
    for cache in caches:
        cache.coherent_as_of_s, cache.monotonic = now_s - 4.5, lambda: now_s
