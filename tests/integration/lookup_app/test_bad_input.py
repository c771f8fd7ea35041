"""Whatever is sent that cannot be meant: the caller is told so, the service does not fail, and Redis is not asked."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from flask.testing import FlaskClient

from tests.integration.lookup_app.servers import Granian, RedisServer, wait_until

KEY = "/v1/instruments/"
BATCH = "/v1/instruments:batch"
JSON = {"Content-Type": "application/json"}
LINES = {"Content-Type": "application/x-ndjson"}
APPLE = {"cusip": "037833100", "pme": "P-1", "name": "Apple"}
Change = Callable[..., int]


@dataclass(frozen=True)
class Bad:
    """One request and the error that it gets."""

    path: str
    status: int
    slug: str
    method: str = "GET"
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None


def _post(body: bytes, status: int, slug: str, headers: dict[str, str] = JSON, path: str = BATCH) -> Bad:
    return Bad(path, status, slug, "POST", headers, body)


def _ids(ids: list[str]) -> bytes:
    return json.dumps({"ids": ids}).encode()


REQUESTS: dict[str, Bad] = {
    "bad check digit": Bad(KEY + "037833101", 400, "invalid-identifier"),
    "8 characters": Bad(KEY + "03783310", 400, "invalid-identifier"),
    "10 characters": Bad(KEY + "0378331000", 400, "invalid-identifier"),
    "full-width digits": Bad(KEY + "%EF%BC%90%EF%BC%93%EF%BC%97833100", 400, "invalid-identifier"),
    "Arabic digits": Bad(KEY + "%D9%A0%D9%A337833100", 400, "invalid-identifier"),
    "NUL": Bad(KEY + "037833100%00", 400, "invalid-identifier"),
    "only NUL": Bad(KEY + "%00", 400, "invalid-identifier"),
    "CRLF": Bad(KEY + "037833100%0d%0aSet-Cookie:%20a=b", 400, "invalid-identifier"),
    "a command of Redis": Bad(KEY + "037833100%0d%0aFLUSHALL%0d%0a", 400, "invalid-identifier"),
    "a tab": Bad(KEY + "037833100%09", 400, "invalid-identifier"),
    "glob": Bad(KEY + "03783310*", 400, "invalid-identifier"),
    "all by glob": Bad(KEY + "*", 400, "invalid-identifier"),
    "glob of a class": Bad(KEY + "%5B0-9%5D*", 400, "invalid-identifier"),
    "glob of one": Bad(KEY + "%3F%3F%3F%3F%3F%3F%3F%3F%3F", 400, "invalid-identifier"),
    "no UTF-8": Bad(KEY + "%ff%fe", 400, "invalid-identifier"),
    "a folder up": Bad(KEY + "..%2f..%2fetc%2fpasswd", 404, "no-such-route"),
    "another dataset": Bad("/v1/positions/037833100", 404, "unknown-dataset"),
    "a dataset that is a glob": Bad("/v1/*/037833100", 404, "no-such-route"),
    "a dataset with NUL": Bad("/v1/instruments%00/037833100", 404, "no-such-route"),
    "alias that breaks its pattern": Bad("/v1/instruments?pme=-x", 400, "invalid-identifier"),
    "alias with NUL": Bad("/v1/instruments?pme=P-1%00", 400, "invalid-identifier"),
    "alias with CRLF": Bad("/v1/instruments?pme=P-1%0d%0a", 400, "invalid-identifier"),
    "alias that is a glob": Bad("/v1/instruments?pme=*", 400, "invalid-identifier"),
    "alias in full width": Bad("/v1/instruments?pme=%EF%BC%90", 400, "invalid-identifier"),
    "alias that is long": Bad("/v1/instruments?pme=" + "x" * 60_000, 400, "invalid-identifier"),
    "no alias": Bad("/v1/instruments", 400, "invalid-query"),
    "a query that is no UTF-8": Bad("/v1/instruments?pme=%ff", 400, "invalid-identifier"),
    "an unknown field": Bad(KEY + "037833100?fields=secret", 400, "invalid-fields"),
    "a thousand parameters": Bad("/v1/instruments?" + "&".join(f"a{n}=1" for n in range(2000)), 400, "invalid-query"),
    "another method": Bad(KEY + "037833100", 405, "method-not-allowed", "DELETE"),
    "no method": Bad(KEY + "037833100", 405, "method-not-allowed", "BREW"),
    "1001 ids": _post(_ids(["037833100"] * 1001), 400, "invalid-batch-size"),
    "1001 ids by line": _post(b'"037833100"\n' * 1001, 400, "invalid-batch-size", LINES),
    "no id": _post(_ids([]), 400, "invalid-batch-size"),
    "an empty body": _post(b"", 400, "invalid-body"),
    "no JSON": _post(b"{", 400, "invalid-body"),
    "deep JSON": _post(b"[" * 500_000, 400, "invalid-body"),
    "deep JSON below ids": _post(b'{"ids":' + b"[" * 500_000, 400, "invalid-body"),
    "deep JSON in a line": _post(b"[" * 500_000, 400, "invalid-body", LINES),
    "ids that are numbers": _post(b'{"ids":[37833100]}', 400, "invalid-body"),
    "a lone surrogate": _post(b'{"ids":["\\ud800"]}', 400, "invalid-body"),
    "a body that is no UTF-8": _post(b'{"ids":["\xff"]}', 400, "invalid-body"),
    "UTF-16": _post('{"ids":["037833100"]}'.encode("utf-16"), 400, "invalid-body"),
    "10 MB": _post(_ids(["x" * 10_000_000]), 413, "body-too-large"),
    "10 MB of ids": _post(_ids(["037833100"] * 900_000), 413, "body-too-large"),
    "text": _post(b'{"ids":["037833100"]}', 415, "unsupported-content-type", {"Content-Type": "text/plain"}),
    "a form": _post(b"ids=1", 415, "unsupported-content-type", {"Content-Type": "application/x-www-form-urlencoded"}),
    "no content type": _post(b'{"ids":["037833100"]}', 415, "unsupported-content-type", {"Content-Type": ""}),
    "gzip": _post(b"\x1f\x8b\x08", 415, "unsupported-content-type", {**JSON, "Content-Encoding": "gzip"}),
}


def reads(server: RedisServer) -> int:
    """How many commands looked at keys since the statistics were reset."""
    commands: dict[str, dict[str, int]] = server.admin.info("commandstats")
    names = ("get", "mget", "getrange", "keys", "scan", "exists", "hgetall", "flushall")
    return sum(commands.get(f"cmdstat_{name}", {"calls": 0})["calls"] for name in names)


@pytest.fixture
def served(client: FlaskClient, redis_server: RedisServer, change: Change) -> Iterator[FlaskClient]:
    """The service with a record, ready; whatever the test sends, Redis is not asked."""
    change(APPLE)
    wait_until(lambda: client.get("/readyz").status_code == 200, "the service is ready")
    redis_server.admin.config_resetstat()
    yield client
    assert reads(redis_server) == 0


def test_every_bad_request_is_refused_in_process(served: FlaskClient) -> None:
    for name, bad in REQUESTS.items():
        answer = served.open(bad.path, method=bad.method, headers=bad.headers, data=bad.body)
        assert answer.status_code == bad.status, (name, answer.data[:300])
        _check(name, bad, answer.headers["Content-Type"], answer.data)


def test_a_path_of_a_megabyte(served: FlaskClient) -> None:
    for path, slug in ((KEY + "1" * 1_000_000, "invalid-identifier"), ("/" + "a" * 1_000_000, "no-such-route")):
        answer = served.get(path)
        _check(path[:20], Bad(path, answer.status_code, slug), answer.headers["Content-Type"], answer.data)


def _check(name: str, bad: Bad, content_type: str, body: bytes) -> None:
    assert content_type == "application/problem+json", name
    problem: dict[str, Any] = json.loads(body)
    assert (problem["type"], problem["status"]) == (f"/problems/{bad.slug}", bad.status), name
    assert len(body) < 3000, name


def test_every_bad_request_is_refused_by_the_server(granian: Granian, redis_server: RedisServer) -> None:
    wait_until(lambda: httpx.get(f"{granian.url}/readyz").status_code == 200, "the service is ready")
    redis_server.admin.config_resetstat()
    with httpx.Client(base_url=granian.url) as client:
        for name, bad in REQUESTS.items():
            answer = client.request(bad.method, bad.path, headers=bad.headers, content=bad.body)
            _check(name, bad, answer.headers["Content-Type"], answer.content)
            assert "set-cookie" not in answer.headers, name
    assert reads(redis_server) == 0


RAW = {
    "a path of a megabyte": b"GET /v1/instruments/%b HTTP/1.1\r\nHost: a\r\n\r\n" % (b"1" * 1_000_000),
    "a header of a megabyte": b"GET /healthz HTTP/1.1\r\nHost: a\r\nX-A: %b\r\n\r\n" % (b"1" * 1_000_000),
    "a raw NUL": b"GET /v1/instruments/\x00 HTTP/1.1\r\nHost: a\r\n\r\n",
    "a space in the path": b"GET /v1/instruments/0378 33100 HTTP/1.1\r\nHost: a\r\n\r\n",
    "no HTTP": b"MGET instr:037833100\r\n",
    "a length that is none": b"POST /v1/instruments:batch HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n",
    "two lengths": b"POST /v1/instruments:batch HTTP/1.1\r\nHost: a\r\n%b\r\n123456"
    % b"Content-Length: 5\r\nContent-Length: 6\r\n",
}


def test_what_is_no_request_is_refused_before_the_service(granian: Granian) -> None:
    for name, sent in RAW.items():
        answer = exchange(granian, sent)
        assert answer == b"" or answer.startswith((b"HTTP/1.1 4", b"HTTP/1.0 4")), (name, answer[:100])
        assert httpx.get(f"{granian.url}/healthz").status_code == 200


def test_pipelined_requests_are_answered_in_order(granian: Granian, change: Change) -> None:
    change(APPLE)
    paths = ["037833100", "bad", "594918104", "037833100?fields=v", "037833100"]
    requests = [f"GET {KEY}{path} HTTP/1.1\r\nHost: a\r\n" for path in paths]
    requests[-1] += "Connection: close\r\n"
    answer = exchange(granian, "".join(request + "\r\n" for request in requests).encode())
    statuses = [int(part[:3]) for part in answer.split(b"HTTP/1.1 ")[1:]]
    assert statuses == [200, 400, 404, 200, 200]


def test_slow_clients_hold_nobody_up(granian: Granian, change: Change) -> None:
    change(APPLE)
    assert httpx.get(granian.url + KEY + "037833100").status_code == 200
    with ExitStack() as stack:
        for _ in range(200):
            slow = stack.enter_context(socket.create_connection(("127.0.0.1", granian.port), timeout=5))
            slow.sendall(b"GET /v1/instruments/037833100 HTTP/1.1\r\nHost: a\r\nX-Slow: ")
        with httpx.Client(base_url=granian.url, timeout=2) as client:
            assert {client.get(KEY + "037833100").status_code for _ in range(50)} == {200}


def test_duplicate_ids_are_one_read_and_many_results(
    client: FlaskClient, redis_server: RedisServer, change: Change
) -> None:
    change(APPLE)
    wait_until(lambda: client.get("/readyz").status_code == 200, "the service is ready")
    redis_server.admin.config_resetstat()
    answer = client.post(BATCH, json={"ids": ["037833100"] * 1000})
    assert len(answer.get_json()["results"]) == 1000
    assert reads(redis_server) <= 1


def exchange(server: Granian, sent: bytes) -> bytes:
    """What the server answers until it ends the connection, or says nothing for a second."""
    answer = b""
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as link:
        try:
            link.sendall(sent)
            link.settimeout(1)
            while piece := link.recv(65536):
                answer += piece
        except (TimeoutError, ConnectionError):
            return answer
    return answer
