"""The simulator's requests and refusals, without a process; streams are in the contract suite of sources."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from instrument_cache.clock import FakeClock
from local_stack.sow_simulator.app import KEYS_BYTES_MAX, make_app
from local_stack.sow_simulator.store import SowStore
from local_stack.sow_simulator.subscribers import Subscribers
from local_stack.sow_simulator.topic import Topic

NOW = 1_763_674_000_000_000
AUTHORIZED = {"Authorization": "Bearer secret"}


class Client:
    """Sends one request at a time to the application."""

    def __init__(self, store: SowStore) -> None:
        self.store = store
        self._app = make_app(Topic(store, Subscribers(1_000_000)), "secret")

    def __call__(self, method: str, path: str, **request: Any) -> httpx.Response:
        return asyncio.run(self._send(method, path, {"headers": AUTHORIZED, **request}))

    async def _send(self, method: str, path: str, request: dict[str, Any]) -> httpx.Response:
        transport = httpx.ASGITransport(self._app)
        async with httpx.AsyncClient(transport=transport, base_url="http://simulator") as client:
            return await client.request(method, path, **request)


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    store = SowStore(tmp_path / "t.sqlite3", "t", "cusip", "last_updated", FakeClock(NOW))
    yield Client(store)
    store.close()


def test_health_needs_no_token(client: Client) -> None:
    assert client("GET", "/healthz", headers={}).json() == {"status": "ok"}


@pytest.mark.parametrize("given", [{}, {"Authorization": "secret"}, {"Authorization": "Bearer secre\u00e9"}])
@pytest.mark.parametrize("path", ["/v1/topics/t", "/v1/topics/t/subscribe", "/nowhere", "/healthz/x"])
def test_everything_else_needs_the_token(client: Client, given: dict[str, str], path: str) -> None:
    answer = client("GET", path, headers=httpx.Headers(given, encoding="latin-1"))
    assert answer.status_code == 401
    assert answer.json().keys() == {"value", "rule", "way_out"}
    assert answer.headers["www-authenticate"] == "Bearer"


def test_publish_answers_number_and_position(client: Client) -> None:
    answer = client("POST", "/v1/topics/t/publish", content=b'{"cusip":"a"}\n\n{"cusip":"b"}\nbad')
    assert answer.json() == {"published": 3, "position": 3}
    assert client("POST", "/v1/topics/t/publish", content=b"\n\n").json() == {"published": 0, "position": 3}
    assert client("GET", "/v1/topics/t").json() == {"topic": "t", "rows": 3, "position": 3, "subscribers": 0}


def test_a_row_is_given_back_with_what_orders_it(client: Client) -> None:
    row = '{"cusip":"a/é #?","last_updated":1763674000000009}'.encode()
    client("POST", "/v1/topics/t/publish", content=b"x\n" + row)
    answer = client("GET", f"/v1/topics/t/rows/{quote('a/é #?', safe='')}")
    assert answer.content == row
    order = {name: answer.headers[name] for name in ("sow-version", "sow-timestamp", "sow-position")}
    assert order == {"sow-version": f"{NOW + 9}", "sow-timestamp": f"{NOW + 1}", "sow-position": "2"}
    client("POST", "/v1/topics/t/delete", json={"keys": ["a/é #?"]})
    assert client("GET", "/v1/topics/t/rows/a%2F%C3%A9%20%23%3F").status_code == 404


def test_delete_answers_what_it_did_not_find(client: Client) -> None:
    client("POST", "/v1/topics/t/publish", content=b'{"cusip":"a"}')
    answer = client("POST", "/v1/topics/t/delete", json={"keys": ["a", "b"]})
    assert answer.json() == {"deleted": 1, "unknown": ["b"], "position": 2}


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b'{"keys":"a"}', b'{"keys":[1]}', b'{"keys":[],"x":1}', b'{"keys":["\xff"]}']
)
def test_a_delete_that_cannot_be_read_is_refused(client: Client, body: bytes) -> None:
    answer = client("POST", "/v1/topics/t/delete", content=body)
    assert answer.status_code == 400
    assert "keys" in answer.json()["way_out"]


def test_a_delete_is_bounded(client: Client) -> None:
    assert client("POST", "/v1/topics/t/delete", content=b" " * (KEYS_BYTES_MAX + 1)).status_code == 413


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/topics/u", 404),
        ("POST", "/v1/topics/u/publish", 404),
        ("GET", "/v1/topics/t/rows/none", 404),
        ("GET", "/nowhere", 404),
        ("GET", "/v1/topics/t/publish", 405),
        ("PUT", "/v1/topics/t", 405),
    ],
)
def test_refusals_name_value_rule_and_way_out(client: Client, method: str, path: str, status: int) -> None:
    answer = client(method, path)
    assert answer.status_code == status
    assert answer.json().keys() == {"value", "rule", "way_out"}


def test_a_wrong_method_is_told_the_right_one(client: Client) -> None:
    assert client("GET", "/v1/topics/t/publish").headers["allow"] == "POST"


def test_a_refused_publish_says_how_many_rows_it_kept(client: Client) -> None:
    rows = b"".join(b'{"cusip":"%d"}\n' % i for i in range(5_000))
    answer = client("POST", "/v1/topics/t/publish", content=rows + b"x" * (16 * 1024 * 1024 + 1))
    assert answer.status_code == 413
    assert answer.json()["published"] == client.store.count() == 4_000
    headers = {**AUTHORIZED, "Content-Encoding": "gzip"}
    answer = client("POST", "/v1/topics/t/publish", content=gzip.compress(rows)[:-4], headers=headers)
    assert (answer.status_code, answer.json()["published"]) == (400, 4_000)


def test_a_full_disk_is_507_and_publishing_works_again_afterwards(client: Client) -> None:
    database = client.store._db
    pages = database.execute("PRAGMA page_count").fetchone()[0]
    database.execute(f"PRAGMA max_page_count = {pages + 1}")
    answer = client("POST", "/v1/topics/t/publish", content=b"x" * 1_000_000)
    assert (answer.status_code, answer.json()["published"]) == (507, 0)
    assert "full" in answer.json()["value"]
    database.execute("PRAGMA query_only = 1")
    assert client("POST", "/v1/topics/t/delete", json={"keys": ["a"]}).status_code == 507
    database.execute("PRAGMA query_only = 0")
    database.execute("PRAGMA max_page_count = 1000000")
    assert client("POST", "/v1/topics/t/publish", content=b"x" * 1_000_000).json()["position"] == 1


def test_a_snapshot_is_a_stream_of_frames(client: Client) -> None:
    client("POST", "/v1/topics/t/publish", content=b'{"cusip":"a"}\n{"cusip":"b"}')
    client("POST", "/v1/topics/t/delete", json={"keys": ["a"]})
    answer = client("GET", "/v1/topics/t/snapshot")
    assert answer.headers["content-type"] == "application/x-sow-frames"
    assert answer.content == (
        b'{"type":"begin","topic":"t","position":3,"rows":1,"length":0}\n\n'
        b'{"type":"put","key":"b","timestamp":1763674000000001,"position":2,"length":13}\n{"cusip":"b"}\n'
        b'{"type":"end","rows":1,"length":0}\n\n'
    )
