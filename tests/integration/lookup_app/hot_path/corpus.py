"""Requests of every kind that the tests of the service know, to be sent two ways."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

APPLE, MICROSOFT, DELETED, UNKNOWN, AHEAD, BROKEN = (
    *("037833100", "594918104", "88160R101"),
    *("023135106", "30303M102", "67066G104"),
)
LOWER = "g0176j109"
ETAG = "{etag}"  # replaced by that of APPLE
BATCH = "/v1/instruments:batch"


class Request(NamedTuple):
    """What a caller sends."""

    path: str
    method: str = "GET"
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None

    def options(self, etag: str) -> dict[str, Any]:
        """As `FlaskClient.open` takes it."""
        headers = [(name, value.replace(ETAG, etag)) for name, value in self.headers]
        return {"method": self.method, "headers": headers, "data": self.body}


def _single(last: str, method: str = "GET", **headers: str) -> Request:
    named = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    return Request(f"/v1/instruments/{last}", method, named)


def _batch(body: object, path: str = BATCH, content_type: str = "application/json", **headers: str) -> Request:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    return Request(path, "POST", (("Content-Type", content_type), *named), raw)


KEYS = (APPLE, MICROSOFT, DELETED, UNKNOWN, AHEAD, BROKEN, LOWER, LOWER.upper())
ODD_KEYS = (
    *("%00", "03783310%00", "037833100%0d%0aSet-Cookie:a=b", "%0a", "%EF%BC%9037833100", "%ff%fe", "03783310*", "*"),
    *("%5B0-9%5D*", "%3F", "..%2f..%2fetc", "%2e%2e", "1" * 100_000, "a/b", "", "037833100/", "037833101", "03783310"),
    *(
        "0378331000",
        "%20037833100%20",
        "0378%2033%20100",
        "instr:037833100",
        "status",
        "changes",
        "status/",
        "caf%C3%A9",
    ),
)
CONDITIONS: tuple[dict[str, str], ...] = (
    *({"If_None_Match": form} for form in (ETAG, f"W/{ETAG}", f'"other", {ETAG}', "*", '"other"', '"', "junk", "")),
    {"If_Modified_Since": "Thu, 20 Nov 2025 21:26:40 GMT"},
    {"If_Modified_Since": "Thu, 20 Nov 2025 21:26:41 GMT"},
    {"If_Modified_Since": "yesterday"},
    {"If_None_Match": '"other"', "If_Modified_Since": "Thu, 20 Nov 2025 21:26:40 GMT"},
    {"If_None_Match": ETAG, "If_Modified_Since": "junk"},
    {"If_Match": '"other"'},
    {"Range": "bytes=0-3"},
    {"Accept": "text/html"},
    {"Accept": "application/x-ndjson"},
    {"Accept_Encoding": "gzip, br"},
    {"X_Request_ID": "abc-123"},
    {"X_Request_ID": "a b"},
    {"Connection": "close"},
    {"Origin": "https://example.com"},
    {"Authorization": "Bearer junk"},
    {"Cookie": "a=b"},
)
QUERIES = (
    "?",
    "?fields=cusip",
    "?fields=cusip,name",
    "?fields=",
    "?fields=nothing",
    "?x=1",
    "?%ff",
    "?fields=name&fields=v",
)
ALIASES = ("?pme=P-1", "?pme=P-9", "?pme=", "", "?pme=-x", "?isin=x", "?pme=P-1&fields=name", "?pme=P-1&pme=P-1")
BODIES: tuple[object, ...] = (
    *({"ids": ids} for ids in ([], [APPLE], [APPLE] * 3, [APPLE, MICROSOFT], list(KEYS), ["bad"], [""], ["\u00e9"])),
    {"ids": [APPLE, " 0378 33100", LOWER, LOWER.upper(), "037833101"]},
    {"ids": [APPLE] * 1000},
    {"ids": [APPLE] * 1001},
    {"ids": [APPLE], "fields": ["name"]},
    {"ids": ["P-1", "P-9"], "by": "pme"},
    {"ids": ["P-1"], "by": "isin"},
    {"ids": [APPLE], "more": 1},
    {"ids": [1]},
    {"ids": "x"},
    {},
    *(b"", b"{", b"[]", b"null", b"[" * 4000, b'{"ids":' + b"[" * 4000, b"\xff", b'{"ids":["\\ud800"]}', b'"x"\n"y"'),
    json.dumps({"ids": [APPLE]}).encode().ljust(70_000),
    json.dumps({"ids": [APPLE]}).encode().ljust(1024 * 1024 + 1),
)
ONE = {"ids": [APPLE]}

REQUESTS: tuple[Request, ...] = (
    *(_single(key, method) for key in KEYS for method in ("GET", "HEAD")),
    *(_single(key) for key in ODD_KEYS),
    *(_single(APPLE, method) for method in ("POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "BREW", "get")),
    *(_single(key, method, **some) for key in (APPLE, DELETED) for method in ("GET", "HEAD") for some in CONDITIONS),
    *(_single(APPLE + query) for query in QUERIES),
    *(Request(f"/v1/instruments{query}") for query in ALIASES),
    *(_batch(body) for body in BODIES),
    *(_batch(ONE, Accept=value) for value in ("*/*", "application/json", "application/x-ndjson", "text/html", "")),
    *(_batch(ONE, content_type=f"application/json{rest}") for rest in ("; charset=utf-8", ";", "x")),
    *(_batch(b'"037833100"\n"x"\n', content_type=kind) for kind in ("application/x-ndjson", "text/plain", "")),
    *(_batch(ONE, Content_Encoding=value) for value in ("gzip", "identity", "")),
    *(_batch(ONE, path=BATCH + query) for query in ("?", "?by=pme", "?fields=name", "?x=1")),
    *(
        _batch(ONE, path=path)
        for path in ("/v1/issuers:batch", "/v1/nothing:batch", "/v1/:batch", "/v1/instruments:batch/")
    ),
    _batch(ONE, If_None_Match="*"),
    _batch(ONE, X_Request_ID="abc"),
    Request(BATCH),
    Request(BATCH, "HEAD"),
    Request(BATCH, "PUT"),
    *(Request(f"/v1/{name}/{APPLE}") for name in ("issuers", "nothing", "Instruments", "instruments:batch", "", ".")),
    *(
        Request(path)
        for path in ("/", "/v1", "/v1/", "/v1/datasets", "/healthz", "/nowhere", "//v1/instruments/037833100")
    ),
    *(Request(path) for path in ("/v1//instruments/037833100", "/v1/instruments;x=1", "/problems/x", "/%00")),
)
