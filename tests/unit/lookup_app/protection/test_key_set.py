"""Keys are read again when one is unknown, but not at everybody's will; they outlive their source for a set time."""

from __future__ import annotations

import time
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from lookup_app.problems import Problem, ProblemType
from lookup_app.protection import key_set
from lookup_app.protection.key_set import KeySet, fetcher
from tests.unit.lookup_app.protection.issuer import EC_KEY, KEYS, RSA_KEY, SETTINGS, jwk, jwks


class Source:
    """A document, or an error, and how often it was asked for. Its clock stands still until it is moved."""

    def __init__(self, document: bytes | None) -> None:
        self.document, self.asked, self.now_s = document, 0, 1000.0
        self.changes = 0

    def fetch(self) -> bytes:
        self.asked += 1
        if self.document is None:
            raise OSError("connection refused")
        return self.document

    def changed(self) -> None:
        self.changes += 1

    def key_set(self, **settings: float) -> KeySet:
        return KeySet(replace(SETTINGS, **settings), self.fetch, self.changed, lambda: self.now_s)  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key_set, "WAIT_S", 0.02)


def kind_of(keys: KeySet, kid: str) -> ProblemType:
    with pytest.raises(Problem) as raised:
        keys.key(kid)
    assert raised.value.headers["Retry-After"] == "1"
    return raised.value.kind


def test_away_from_the_start() -> None:
    keys = Source(None).key_set()
    assert kind_of(keys, "ec") is ProblemType.KEYS_UNAVAILABLE
    keys.refresh()
    assert kind_of(keys, "ec") is ProblemType.KEYS_UNAVAILABLE


def test_away_later() -> None:
    source = Source(KEYS)
    keys = source.key_set(keys_age_s_max=100)
    keys.refresh()
    source.document = None
    source.now_s += 100
    keys.refresh()
    assert keys.key("ec") is not None, "known keys go on being used"
    assert kind_of(keys, "new") is ProblemType.KEYS_UNAVAILABLE, "this one may just have been made"
    source.now_s += 1
    assert kind_of(keys, "ec") is ProblemType.KEYS_UNAVAILABLE, "too old"
    source.document = KEYS
    keys.refresh()
    assert keys.key("ec") is not None


def test_an_unknown_kid_is_unknown_while_the_keys_are_fresh() -> None:
    keys = Source(KEYS).key_set()
    keys.refresh()
    assert keys.key("unknown") is None


def test_a_rotated_key_is_found_by_reading_again_once_per_pause() -> None:
    source = Source(KEYS)
    keys = source.key_set(cooldown_s=10)
    keys.start()
    deadline_s = time.monotonic() + 10
    while source.changes == 0 and time.monotonic() < deadline_s:
        time.sleep(0.01)
    for _ in range(5):
        assert keys.key("new") is None
    assert source.asked == 1, "it was read a moment ago"
    source.document = jwks(jwk(EC_KEY, "new"))
    source.now_s += 10
    while keys.key("new") is None and time.monotonic() < deadline_s:
        time.sleep(0.01)
    assert keys.key("ec") is None
    assert (source.asked, source.changes) == (2, 2)


def test_what_is_no_signing_key_is_passed_over() -> None:
    document = jwks(
        {"kty": "oct", "kid": "shared", "k": "c2VjcmV0"},
        jwk(RSA_KEY, "encrypts", use="enc"),
        jwk(RSA_KEY, "other-algorithm", alg="RS512"),
        {**jwk(RSA_KEY, "broken"), "n": "!"},
        {key: value for key, value in jwk(RSA_KEY, "").items() if key != "kid"},
        jwk(RSA_KEY, "good", alg="RS256"),
    )
    keys = Source(document).key_set()
    keys.refresh()
    usable = [kid for kid in ("shared", "encrypts", "other-algorithm", "broken", "good") if keys.key(kid)]
    assert usable == ["good"]
    found = keys.key("good")
    assert found is not None
    assert found.algorithms == ("RS256",)


@pytest.mark.parametrize("document", [b"", b"[]", b"{}", b'{"keys":{}}', b'{"keys":[]}', b'{"keys":[1]}', b"\xff"])
def test_a_document_that_cannot_be_used_leaves_the_known_keys(document: bytes) -> None:
    source = Source(KEYS)
    keys = source.key_set()
    keys.refresh()
    source.document = document
    keys.refresh()
    assert keys.key("ec") is not None
    assert source.changes == 1


def test_a_file(tmp_path: Path) -> None:
    path = tmp_path / "jwks.json"
    path.write_bytes(KEYS)
    assert fetcher(str(path))() == KEYS
    path.unlink()
    with pytest.raises(OSError, match="No such file"):
        fetcher(str(path))()


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        answers = {"/keys": (200, KEYS), "/large": (200, b" " * 2_000_000), "/moved": (302, b"")}
        status, body = answers.get(self.path, (500, b""))
        self.send_response(status)
        self.send_header("Location", "/keys")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        return


def test_a_url() -> None:
    with HTTPServer(("127.0.0.1", 0), _Handler) as server:
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        base = f"http://127.0.0.1:{server.server_address[1]}"
        assert fetcher(f"{base}/keys")() == KEYS
        for path in ("/large", "/moved", "/broken"):
            with pytest.raises((OSError, ValueError)):
                fetcher(base + path)()
        server.shutdown()
