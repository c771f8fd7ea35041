"""Lines in the log: every failure, some refusals, sampled successes. And the protection of the routes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from flask.testing import FlaskClient
from structlog.testing import capture_logs

from lookup_app.app import create_app
from lookup_app.config import LookupSettings
from lookup_app.datasets import Datasets
from lookup_app.drain import DRAIN
from lookup_app.observation import Observation
from lookup_app.protection.assembly import Protection
from lookup_app.protection.bulkhead import Bulkhead
from lookup_app.protection.gate import Gate
from lookup_app.protection.jwt_tokens import JwtTokens
from lookup_app.protection.rate_limit import RateLimit
from lookup_app.protection.settings import BulkheadSettings, RateSettings
from lookup_app.request_log import REFUSALS_PER_S_MAX, RequestLog
from lookup_app.sampling import Sampling, SamplingSettings
from tests.unit.lookup_app.protection.issuer import KEYS, SETTINGS, token

PATH = "/v1/instruments/037833100"
BATCH = "/v1/instruments:batch"


@pytest.fixture
def bulkhead() -> Bulkhead:
    return Bulkhead(BulkheadSettings(batches_max=1, wait_s=0))


@pytest.fixture
def guarded(settings: LookupSettings, datasets: Datasets, bulkhead: Bulkhead) -> FlaskClient:
    tokens = JwtTokens(SETTINGS, datasets.names, fetch=lambda: KEYS)
    tokens.keys.refresh()
    gate = Gate(datasets.names, tokens, None, RateLimit(RateSettings(1, 12)), monotonic=lambda: 1000.0)
    return create_app(settings, datasets, Protection(gate, bulkhead)).test_client()


@pytest.fixture
def bearer() -> dict[str, str]:
    return {"Authorization": f"Bearer {token()}"}


@pytest.fixture
def draining() -> Iterator[None]:
    DRAIN.begun = True
    yield
    DRAIN.begun = False


def test_what_is_guarded(guarded: FlaskClient, bearer: dict[str, str]) -> None:
    for path in (PATH, "/v1/instruments?pme=P-1", "/v1/instruments/status", "/v1/datasets", "/v1/nothing"):
        answer = guarded.get(path)
        assert (answer.status_code, answer.content_type) == (401, "application/problem+json"), path
        assert answer.headers["WWW-Authenticate"] == 'Bearer realm="instrument-cache"'
        assert "RateLimit" not in answer.headers
    assert guarded.post(BATCH, json={"ids": ["037833100"]}).status_code == 401
    for path in ("/healthz", "/readyz", "/metrics"):
        assert guarded.get(path).status_code == 200, path
    assert guarded.get(PATH, headers=bearer).status_code == 404
    assert guarded.get("/v1/nothing/x", headers=bearer).status_code == 404
    assert guarded.get(PATH, headers={"Authorization": f"Bearer {token(scope='x')}"}).status_code == 403


def test_the_headers_of_the_limit_are_on_every_answer(guarded: FlaskClient, bearer: dict[str, str]) -> None:
    answer = guarded.get(PATH, headers=bearer)
    assert (answer.headers["RateLimit-Policy"], answer.headers["RateLimit"]) == (
        '"default";q=12;w=12',
        '"default";r=11;t=1',
    )
    for _ in range(11):
        guarded.get(PATH, headers=bearer)
    refused = guarded.get(PATH, headers=bearer)
    assert (refused.status_code, json.loads(refused.data)["type"]) == (429, "/problems/rate-limited")
    assert (refused.headers["Retry-After"], refused.headers["RateLimit"]) == ("1", '"default";r=0;t=12')


def test_a_batch_holds_a_place(guarded: FlaskClient, bearer: dict[str, str], bulkhead: Bulkhead) -> None:
    bodies: list[dict[str, list[str]]] = [{"ids": ["037833100"]}, {"ids": []}, {}]
    for body in bodies:
        assert guarded.post(BATCH, json=body, headers=bearer).status_code in (200, 400)
    assert bulkhead._running == 0
    with bulkhead:
        busy = guarded.post(BATCH, json={"ids": ["037833100"]}, headers=bearer)
        assert (busy.status_code, json.loads(busy.data)["type"]) == (503, "/problems/busy")
        assert guarded.get(PATH, headers=bearer).status_code == 404, "single reads go on"
    assert bulkhead._running == 0


def test_while_it_drains(client: FlaskClient, draining: None) -> None:
    answer = client.get("/readyz")
    assert (answer.status_code, json.loads(answer.data)["missing"]) == (503, ["server"])
    assert client.get("/healthz").status_code == 200
    found = client.get(PATH)
    assert (found.status_code, found.headers["Connection"]) == (404, "close")


def test_a_failure_has_its_line(client: FlaskClient, store: Any) -> None:
    store.away = True
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"
    with capture_logs() as lines:
        client.get(PATH + "?", headers={"X-Request-ID": "me-1", "traceparent": parent, "Authorization": "Bearer no"})
    assert len(lines) == 1
    expected = {"event": "request_failed", "request_id": "me-1", "status": 503, "dataset": "instruments"}
    assert expected.items() <= lines[0].items()
    assert lines[0]["trace_id"] == "0af7651916cd43dd8448eb211c80319c"
    assert "Bearer" not in str(lines), "nothing of a credential is logged"


def test_a_refusal_names_nobody_s_secret(guarded: FlaskClient) -> None:
    with capture_logs() as lines:
        guarded.get(PATH, headers={"Authorization": f"Bearer {token(aud='another')}"})
    assert [line["event"] for line in lines] == ["request_refused"]
    assert lines[0]["outcome"] == "unauthenticated"
    assert "eyJ" not in str(lines)


def test_successes_are_sampled(settings: LookupSettings, datasets: Datasets) -> None:
    observation = Observation(Sampling(SamplingSettings(log_one_in=5)))
    client = create_app(settings, datasets, observation=observation).test_client()
    with capture_logs() as lines:
        for _ in range(20):
            client.get(PATH)
    assert [line["event"] for line in lines] == ["request"] * 4


def test_refusals_fill_no_disk() -> None:
    now_s = [1.0]
    log = RequestLog(lambda: now_s[0])
    with capture_logs() as lines:
        for _ in range(100):
            log.write(429, False, dict)
        now_s[0] = 2.0
        log.write(401, False, dict)
    assert len(lines) == REFUSALS_PER_S_MAX + 1
    assert lines[-1]["left_out"] == 100 - REFUSALS_PER_S_MAX
