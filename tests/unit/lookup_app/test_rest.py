"""What the API offers beyond one record: fields, conditions, batches in each form, datasets, status, changes."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from instrument_cache.contract import Contract, VersionUnit, load_contract
from lookup_app.app import create_app
from lookup_app.config import LookupSettings
from lookup_app.datasets import Datasets
from lookup_app.service import Found, LookupService, StoreReader
from tests.unit.lookup_app.conftest import CONTRACT_PATH, VERSION, WatchedStore
from tests.unit.lookup_app.test_app import problem

APPLE = {"cusip": "037833100", "pme": "P-1", "name": "Apple Inc", "symbol": "AAPL"}
PATH = "/v1/instruments/037833100"
BATCH = "/v1/instruments:batch"
NDJSON = "application/x-ndjson"
MODIFIED = "Thu, 20 Nov 2025 21:26:40 GMT"
Change = Callable[..., None]


class StaleReader:
    """Answers as while the store is away."""

    def __init__(self, store: WatchedStore) -> None:
        self._store = store

    def read(self, keys: Sequence[str]) -> Found:
        return Found(self._store.get_many(keys), 12.2)


def client_of(contract: Contract, reader: Any, **settings: Any) -> FlaskClient:
    made = LookupSettings("redis://unused", (CONTRACT_PATH,), **settings)
    return create_app(made, Datasets([LookupService(reader, contract)])).test_client()


@pytest.mark.parametrize(
    ("fields", "members"),
    [
        ("cusip,name", ["v", "cusip", "name"]),
        ("name,cusip", ["v", "cusip", "name"]),
        ("name, name , v", ["v", "name"]),
        ("v", ["v"]),
        ("isin", ["v", "isin"]),
        ("symbol,", ["v", "symbol"]),
    ],
)
def test_fields_are_selected_in_the_contracts_order(
    client: FlaskClient, change: Change, fields: str, members: list[str]
) -> None:
    change(APPLE)
    whole = client.get(PATH)
    for path in (f"{PATH}?fields={fields}", f"/v1/instruments?pme=P-1&fields={fields}"):
        answer = client.get(path)
        assert list(json.loads(answer.data)) == members
        assert json.loads(answer.data).items() <= json.loads(whole.data).items()
        assert answer.headers["ETag"] != whole.headers["ETag"]
        again = client.get(path, headers={"If-None-Match": answer.headers["ETag"]})
        assert (again.status_code, again.data) == (304, b"")


@pytest.mark.parametrize("fields", ["", ",", "nam", "cusip,secret", "CUSIP", "%00", "*", "v;name", "x" * 5000])
def test_other_fields_are_named_as_wrong_and_nothing_is_read(client: FlaskClient, store: Any, fields: str) -> None:
    body = problem(client.get(PATH, query_string={"fields": fields}), 400, "invalid-fields")
    assert body["fields"][:3] == ["v", "cusip", "pme"]
    assert len(body["detail"]) < 500
    assert store.reads == []


@pytest.mark.parametrize("query", ["?fields=v&fields=v", "?field=v", "?pme=P-1", "?x"])
def test_a_parameter_that_nobody_reads_is_an_error(client: FlaskClient, store: Any, query: str) -> None:
    assert problem(client.get(PATH + query), 400, "invalid-query")["parameters"] == ["fields"]
    assert store.reads == []


def test_a_record_of_an_older_contract_has_null_where_a_field_is_new(client: FlaskClient, store: Any) -> None:
    store.offer({"instr:037833100": b'{"v":1763674000123456,"cusip":"037833100"}'})
    assert client.get(f"{PATH}?fields=cusip,name").data == b'{"v":1763674000123456,"cusip":"037833100","name":null}'


def test_a_record_that_is_no_json_is_a_problem(client: FlaskClient, store: Any) -> None:
    store.offer({"instr:037833100": b'{"v":1763674000123456,"cusip":}'})
    problem(client.get(f"{PATH}?fields=cusip"), 503, "unreadable-entry")
    results = client.post(BATCH, json={"ids": ["037833100"], "fields": ["cusip"]}).get_json()["results"]
    assert results[0]["problem"]["type"] == "/problems/unreadable-entry"


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_the_time_of_the_version_is_the_last_modified(client: FlaskClient, change: Change, method: str) -> None:
    change(APPLE)
    answer = client.open(PATH, method=method)
    assert answer.headers["Last-Modified"] == MODIFIED
    assert answer.headers["Vary"] == "Authorization, X-API-Key"
    assert client.open(PATH, method=method, headers={"If-Modified-Since": MODIFIED}).status_code == 304


@pytest.mark.parametrize(
    "headers",
    [
        {"If-Modified-Since": "Thu, 20 Nov 2025 21:26:39 GMT"},
        {"If-Modified-Since": "Thu, 20 Nov 2025 21:26:41 GMT"},
        {"If-Modified-Since": "yesterday"},
        {"If-Modified-Since": MODIFIED, "If-None-Match": '"other"'},
    ],
    ids=str,
)
def test_another_time_or_a_better_condition_sends_the_record(
    client: FlaskClient, change: Change, headers: dict[str, str]
) -> None:
    change(APPLE)
    assert client.get(PATH, headers=headers).status_code == 200


def test_a_version_that_is_no_time_or_lies_ahead_has_no_last_modified(
    client: FlaskClient, store: Any, contract: Contract, change: Change
) -> None:
    change(APPLE)
    positions = client_of(replace(contract, version_unit=VersionUnit.LOG_POSITION), StoreReader(store))
    assert "Last-Modified" not in positions.get(PATH).headers
    assert positions.get(PATH, headers={"If-Modified-Since": MODIFIED}).status_code == 200
    store.offer({"instr:037833100": b'{"v":9999999999999999,"cusip":"037833100"}'})
    assert "Last-Modified" not in client.get(PATH).headers


def test_the_contract_says_for_how_long_an_answer_may_be_kept(store: Any, contract: Contract, change: Change) -> None:
    change(APPLE)
    answer = client_of(replace(contract, http_max_age_s=30), StoreReader(store)).get(PATH)
    assert answer.headers["Cache-Control"] == "private, max-age=30"


def test_stale_answers_say_so(store: Any, contract: Contract, change: Change) -> None:
    change(APPLE)
    change({"cusip": "594918104"}, op="delete")
    client = client_of(contract, StaleReader(store))
    etag = client.get(PATH).headers["ETag"]
    asked = [
        client.get(PATH),
        client.get(PATH, headers={"If-None-Match": etag}),
        client.get("/v1/instruments?pme=P-1&fields=v"),
        client.get("/v1/instruments/594918104"),
        client.get("/v1/instruments/023135106"),
        client.post(BATCH, json={"ids": ["037833100"]}),
        client.post(BATCH, json={"ids": ["023135106"]}, headers={"Accept": NDJSON}),
    ]
    assert [answer.status_code for answer in asked] == [200, 304, 200, 404, 404, 200, 200]
    for answer in asked:
        assert answer.headers["Warning"] == '110 instrument-cache "Response is Stale"'
        assert answer.headers["Age"] == "13"


def test_a_batch_by_an_alias(client: FlaskClient, change: Change) -> None:
    change(APPLE)
    body = {"ids": ["P-1", "P-2", "-x", "P-1"], "by": "pme", "fields": ["name"]}
    results = client.post(BATCH, json=body).get_json()["results"]
    assert [result["status"] for result in results] == [200, 404, 400, 200]
    assert results[0] == {"id": "P-1", "status": 200, "instrument": {"v": VERSION, "name": "Apple Inc"}}


def test_a_batch_in_lines(client: FlaskClient, change: Change) -> None:
    change(APPLE)
    lines = b'"037833100"\n"bad"\n" 0378 33100 "\n'
    plain = client.post(BATCH, data=lines, content_type=NDJSON)
    assert (plain.content_type, plain.headers["Vary"]) == ("application/json", "Accept")
    answer = client.post(f"{BATCH}?fields=cusip", data=lines, content_type=NDJSON, headers={"Accept": NDJSON})
    assert answer.content_type == NDJSON
    found = [json.loads(line) for line in answer.data.splitlines()]
    assert [item["status"] for item in found] == [200, 400, 200]
    assert [item["id"] for item in found] == ["037833100", "bad", " 0378 33100 "]
    assert found[2]["instrument"] == {"v": VERSION, "cusip": "037833100"}
    aliases = client.post(f"{BATCH}?by=pme", data=b'"P-1"', content_type=NDJSON)
    assert aliases.get_json()["results"][0]["status"] == 200


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        ("*/*", "application/json"),
        ("application/x-ndjson;q=0.5, application/json", "application/json"),
        ("text/html", "application/json"),
        (f"{NDJSON}, */*;q=0.1", NDJSON),
        ("junk", "application/json"),
    ],
)
def test_the_caller_chooses_the_form(client: FlaskClient, accept: str, form: str) -> None:
    answer = client.post(BATCH, json={"ids": ["bad"]}, headers={"Accept": accept})
    assert answer.content_type == form


@pytest.mark.parametrize(
    ("body", "slug"),
    [
        ({"ids": ["a"], "by": "isin"}, "invalid-query"),
        ({"ids": ["a"], "by": "cusip"}, "invalid-query"),
        ({"ids": ["a"], "by": ""}, "invalid-query"),
        ({"ids": ["a"], "fields": []}, "invalid-fields"),
        ({"ids": ["a"], "fields": ["nothing"]}, "invalid-fields"),
    ],
    ids=str,
)
def test_a_batch_by_what_there_is_not(client: FlaskClient, store: Any, body: dict[str, Any], slug: str) -> None:
    problem(client.post(BATCH, json=body), 400, slug)
    assert store.reads == []


def test_a_member_wins_over_the_query(client: FlaskClient, change: Change) -> None:
    change(APPLE)
    body = {"ids": ["037833100"], "fields": ["name"]}
    assert list(client.post(f"{BATCH}?fields=symbol", json=body).get_json()["results"][0]["instrument"]) == [
        "v",
        "name",
    ]


@pytest.mark.parametrize("path", ["037833100", "status", "changes", "?pme=P-1", ":batch"])
def test_a_dataset_that_is_not_served(client: FlaskClient, store: Any, path: str) -> None:
    separator = "" if path[0] in "?:" else "/"
    method = "POST" if path == ":batch" else "GET"
    body = problem(client.open(f"/v1/issuers{separator}{path}", method=method), 404, "unknown-dataset")
    assert body["datasets"] == ["instruments"]
    assert store.reads == []


def test_the_datasets_are_described(client: FlaskClient, contract: Contract) -> None:
    (found,) = client.get("/v1/datasets").get_json()["datasets"]
    assert (found["dataset"], found["key"], found["aliases"]) == ("instruments", "cusip", ["pme"])
    assert [field["name"] for field in found["fields"]] == [field.name for field in contract.fields]


def test_the_status_is_told_also_when_redis_is_away(store: Any, contract: Contract) -> None:
    client = client_of(contract, StoreReader(store))
    assert client.get("/v1/instruments/status").get_json()["cache"] == {"coherent": True, "stale_s": None}
    store.away = True
    status = client.get("/v1/instruments/status")
    assert (status.status_code, status.get_json()["verdict"]) == (200, "unknown")
    assert status.get_json()["cache"] == {"coherent": False, "stale_s": None}


def test_the_change_stream_is_elsewhere_or_nowhere(client: FlaskClient, store: Any, contract: Contract) -> None:
    problem(client.get("/v1/instruments/changes?ids=037833100"), 404, "no-change-stream")
    there = client_of(contract, StoreReader(store), changes_url="http://127.0.0.1:9")
    answer = there.get("/v1/instruments/changes?ids=037833100,594918104")
    assert answer.status_code == 307
    assert answer.headers["Location"] == "http://127.0.0.1:9/v1/instruments/changes?ids=037833100,594918104"
    assert there.get("/v1/instruments/status").get_json()["change_stream"] is True


def test_a_query_cannot_leave_the_redirect(store: Any, contract: Contract) -> None:
    there = client_of(contract, StoreReader(store), changes_url="http://127.0.0.1:9")
    answer = there.open("/v1/instruments/changes", query_string="a=%0d%0aSet-Cookie:x=y")
    assert answer.headers["Location"].endswith("?a=%0d%0aSet-Cookie:x=y")
    assert "Set-Cookie" not in answer.headers


def test_every_dataset_has_its_own_routes(store: WatchedStore, contract: Contract, change: Change) -> None:
    change(APPLE)
    issuers = load_contract(Path(CONTRACT_PATH).with_name("issuers.yaml"))
    services = [LookupService(StoreReader(store), found) for found in (contract, issuers)]
    client = create_app(LookupSettings("redis://unused", (CONTRACT_PATH,)), Datasets(services)).test_client()
    assert client.get(PATH).status_code == 200
    assert problem(client.get("/v1/issuers/037833100"), 400, "invalid-identifier")["identifier"] == "lei"
    assert problem(client.get("/v1/issuers?pme=P-1"), 400, "invalid-query")["parameters"] == ["ticker", "fields"]
    assert [found["dataset"] for found in client.get("/v1/datasets").get_json()["datasets"]] == [
        "instruments",
        "issuers",
    ]
