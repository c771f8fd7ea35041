"""The service over HTTP: routes, headers and errors."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient
from structlog.testing import capture_logs
from werkzeug.test import TestResponse

APPLE = {"cusip": "037833100", "pme": "P-1", "name": "Apple Inc"}
VERSION = 1_763_674_000_123_456
BATCH = "/v1/instruments:batch"
Change = Callable[..., None]


def problem(answer: TestResponse, status: int, slug: str) -> dict[str, Any]:
    """The problem in an answer, after checking that it is one, whole and of this kind."""
    assert (answer.status_code, answer.content_type) == (status, "application/problem+json")
    body: dict[str, Any] = json.loads(answer.data)
    assert (body["type"], body["status"]) == (f"/problems/{slug}", status)
    assert body["title"]
    assert body["detail"]
    assert body["instance"].startswith("/")
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Request-ID"]
    return body


def post(client: FlaskClient, ids: object, **options: Any) -> TestResponse:
    return client.post(BATCH, data=json.dumps({"ids": ids}), content_type="application/json", **options)


@pytest.mark.parametrize("path", ["/v1/instruments/037833100", "/v1/instruments?pme=P-1"])
def test_an_instrument(client: FlaskClient, store: Any, change: Change, path: str) -> None:
    change(APPLE)
    answer = client.get(path)
    assert (answer.status_code, answer.content_type) == (200, "application/json")
    assert answer.data == store.get_many(["instr:037833100"])[0]
    assert answer.headers["Instrument-Version"] == str(VERSION)
    assert answer.headers["Cache-Control"] == "no-cache"
    assert re.fullmatch(r'"\d{16}-[0-9a-f]{8}"', answer.headers["ETag"])


@pytest.mark.parametrize("form", ["{}", "W/{}", '"other", {}', "*"])
def test_what_the_caller_has_is_not_sent_again(client: FlaskClient, change: Change, form: str) -> None:
    change(APPLE)
    etag = client.get("/v1/instruments/037833100").headers["ETag"]
    answer = client.get("/v1/instruments/037833100", headers={"If-None-Match": form.format(etag)})
    assert (answer.status_code, answer.data) == (304, b"")
    assert answer.headers["ETag"] == etag
    assert answer.headers["Instrument-Version"] == str(VERSION)


@pytest.mark.parametrize("header", ['"1763674000123456-00000000"', '"', "junk", ""])
def test_what_the_caller_has_not_is_sent(client: FlaskClient, change: Change, header: str) -> None:
    change(APPLE)
    assert client.get("/v1/instruments/037833100", headers={"If-None-Match": header}).status_code == 200


def test_head_is_get_without_a_body(client: FlaskClient, change: Change) -> None:
    change(APPLE)
    got, head = client.get("/v1/instruments/037833100"), client.head("/v1/instruments/037833100")
    assert head.data == b""
    assert (head.headers["ETag"], head.content_length) == (got.headers["ETag"], len(got.data))


def test_a_broken_rule_is_named(client: FlaskClient) -> None:
    body = problem(client.get("/v1/instruments/037833101"), 400, "invalid-identifier")
    assert (body["rule"], body["value"], body["identifier"]) == ("check_digit", "037833101", "cusip")
    body = problem(client.get("/v1/instruments?pme=-x"), 400, "invalid-identifier")
    assert (body["rule"], body["value"], body["identifier"]) == ("pattern", "-x", "pme")


def test_unknown_and_deleted(client: FlaskClient, change: Change) -> None:
    problem(client.get("/v1/instruments/037833100"), 404, "unknown-instrument")
    change(APPLE, op="delete")
    answer = client.get("/v1/instruments/037833100")
    body = problem(answer, 404, "deleted-instrument")
    assert (body["deleted_at"], body["version"]) == ("2025-11-20T21:26:40.123456Z", VERSION)
    assert answer.headers["Instrument-Version"] == str(VERSION)


@pytest.mark.parametrize(
    "path",
    [
        "/v1/instruments/%00",
        "/v1/instruments/03783310%00",
        "/v1/instruments/037833100%0d%0aSet-Cookie:a=b",
        "/v1/instruments/%0a",
        "/v1/instruments/%EF%BC%9037833100",
        "/v1/instruments/%ff%fe",
        "/v1/instruments/03783310*",
        "/v1/instruments/*",
        "/v1/instruments/%5B0-9%5D*",
        "/v1/instruments/%3F",
        "/v1/instruments/..%2f..%2fetc",
        "/v1/instruments/%2e%2e",
        "/v1/instruments/" + "1" * 1_000_000,
        "/" + "a" * 1_000_000,
        "/v1/instruments/a/b",
        "/v1/instruments/",
        "/v1//instruments/037833100",
        "/v1/instruments/037833100/",
        "/v1/instruments;x=1",
        "/v1/Instruments/037833100",
        "/v1/",
        "/v1",
        "/%00",
        "/static/app.py",
        "/problems/no-such-route",
    ],
)
def test_odd_paths_are_the_callers_error_and_never_reach_the_store(
    client: FlaskClient, store: Any, change: Change, path: str
) -> None:
    change(APPLE)
    answer = client.get(path)
    assert answer.status_code in {400, 404}
    problem(answer, answer.status_code, "invalid-identifier" if answer.status_code == 400 else "no-such-route")
    assert len(answer.data) < 2000
    assert store.reads == []


@pytest.mark.parametrize(
    "query",
    ["", "?", "?pme=P-1&pme=P-1", "?pme=P-1&isin=x", "?isin=US0378331005", "?PME=P-1", "?cusip=037833100", "?=", "?&x"],
)
def test_a_query_is_exactly_one_alias(client: FlaskClient, store: Any, change: Change, query: str) -> None:
    change(APPLE)
    body = problem(client.get(f"/v1/instruments{query}"), 400, "invalid-query")
    assert body["parameters"] == ["pme", "fields"]
    assert store.reads == []


def test_a_query_that_is_not_utf_8(client: FlaskClient) -> None:
    answer = client.open("/v1/instruments", environ_overrides={"QUERY_STRING": "pme=\xff"})
    problem(answer, 400, "invalid-query")


def test_an_empty_alias(client: FlaskClient) -> None:
    problem(client.get("/v1/instruments?pme="), 400, "invalid-identifier")


def test_a_batch(client: FlaskClient, store: Any, change: Change) -> None:
    change(APPLE)
    change({"cusip": "594918104"}, op="delete")
    answer = post(client, ["037833100", "594918104", "bad", "023135106", "037833100"])
    assert (answer.status_code, answer.content_type) == (200, "application/json")
    results = json.loads(answer.data)["results"]
    assert [result["status"] for result in results] == [200, 404, 400, 404, 200]
    assert [result["id"] for result in results] == ["037833100", "594918104", "bad", "023135106", "037833100"]
    assert results[1]["problem"]["deleted_at"] == "2025-11-20T21:26:40.123456Z"
    assert results[2]["problem"]["rule"] == "length"
    assert answer.data.count(store.get_many(["instr:037833100"])[0]) == 2


def test_a_batch_without_one_usable_id_reads_nothing(client: FlaskClient, store: Any) -> None:
    assert post(client, ["bad", "worse"]).status_code == 200
    assert [read for read in store.reads if read] == []


def test_a_batch_of_the_wrong_size(client: FlaskClient) -> None:
    assert problem(post(client, []), 400, "invalid-batch-size")["limit"] == 5
    body = problem(post(client, ["x"] * 6), 400, "invalid-batch-size")
    assert (body["count"], body["limit"]) == (6, 5)
    assert "1 to 5" in body["detail"]


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b'{"ids":1}', b"[" * 4000, b'{"ids":' + b"[" * 4000])
def test_a_batch_of_another_shape(client: FlaskClient, data: bytes) -> None:
    problem(client.post(BATCH, data=data, content_type="application/json"), 400, "invalid-body")


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
def test_a_batch_of_another_content_type(client: FlaskClient, content_type: str) -> None:
    problem(client.post(BATCH, data=b'{"ids":["x"]}', content_type=content_type), 415, "unsupported-content-type")


def test_a_batch_in_another_encoding(client: FlaskClient) -> None:
    problem(post(client, ["x"], headers={"Content-Encoding": "gzip"}), 415, "unsupported-content-type")


def test_json_with_a_charset_is_json(client: FlaskClient) -> None:
    answer = client.post(BATCH, data=b'{"ids":["x"]}', content_type="application/json; charset=utf-8")
    assert answer.status_code == 200


@pytest.mark.parametrize("length_known", [True, False])
@pytest.mark.parametrize(("size", "status"), [(4096, 200), (4097, 413), (8192, 413), (500_000, 413)])
def test_a_body_over_the_limit(client: FlaskClient, size: int, status: int, length_known: bool) -> None:
    data = b'{"ids":["x"]}'.ljust(size)
    stream: dict[str, Any] = {"data": data}
    if not length_known:  # as a server hands over a chunked body
        stream = {"input_stream": io.BytesIO(data), "environ_overrides": {"wsgi.input_terminated": True}}
    answer = client.post(BATCH, content_type="application/json", **stream)
    assert answer.status_code == status
    if status == 413:
        assert problem(answer, 413, "body-too-large")["limit"] == 4096


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("POST", "/v1/instruments/037833100", {"GET", "HEAD", "OPTIONS"}),
        ("DELETE", "/v1/instruments", {"GET", "HEAD", "OPTIONS"}),
        ("GET", BATCH, {"POST", "OPTIONS"}),
        ("BREW", "/healthz", {"GET", "HEAD", "OPTIONS"}),
    ],
)
def test_a_method_that_a_route_has_not(client: FlaskClient, method: str, path: str, allowed: set[str]) -> None:
    answer = client.open(path, method=method)
    problem(answer, 405, "method-not-allowed")
    assert set(answer.headers["Allow"].split(", ")) == allowed


def test_health_needs_no_store_and_readiness_does(client: FlaskClient, store: Any) -> None:
    assert client.get("/readyz").json == {"status": "ready"}
    store.away = True
    assert client.get("/healthz").json == {"status": "alive"}
    answer = client.get("/readyz")
    assert problem(answer, 503, "not-ready")["missing"] == ["redis"]
    assert answer.headers["Retry-After"] == "1"


def test_a_store_that_is_away(client: FlaskClient, store: Any) -> None:
    store.away = True
    single, alias = client.get("/v1/instruments/037833100"), client.get("/v1/instruments?pme=P-1")
    for answer in (single, alias, post(client, ["037833100"])):
        problem(answer, 503, "store-unavailable")
        assert answer.headers["Retry-After"] == "1"
        assert b"10.0.0.1" not in answer.data


def test_a_failed_request_is_one_log_line(client: FlaskClient, store: Any) -> None:
    store.away = True
    with capture_logs() as lines:
        client.get("/v1/instruments/037833100", headers={"X-Request-ID": "abc"})
        client.get("/v1/instruments/bad")
        client.get("/healthz")
    assert len(lines) == 1
    line = lines[0]
    assert (line["event"], line["request_id"], line["status"]) == ("request_failed", "abc", 503)
    assert (line["method"], line["path"]) == ("GET", "/v1/instruments/037833100")
    assert "connection refused" in line["error"]


def test_an_unforeseen_error_is_a_problem_and_its_story_is_in_the_log(
    client: FlaskClient, store: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(keys: object) -> None:
        raise ZeroDivisionError("the secret story")

    monkeypatch.setattr(store, "get_many", fail)
    with capture_logs() as lines:
        answer = client.get("/v1/instruments/037833100")
    problem(answer, 500, "internal-error")
    assert b"secret" not in answer.data
    assert isinstance(lines[0]["exc_info"], ZeroDivisionError)


@pytest.mark.parametrize("given", ["abc-123", "x" * 128, "a,b;c=d"])
def test_a_callers_request_id_comes_back(client: FlaskClient, given: str) -> None:
    assert client.get("/healthz", headers={"X-Request-ID": given}).headers["X-Request-ID"] == given


@pytest.mark.parametrize("given", ["", "x" * 129, "a b", "caf\xe9"])
def test_an_unusable_request_id_is_replaced(client: FlaskClient, given: str) -> None:
    made = client.get("/healthz", headers={"X-Request-ID": given}).headers["X-Request-ID"]
    assert re.fullmatch("[0-9a-f]{32}", made)
