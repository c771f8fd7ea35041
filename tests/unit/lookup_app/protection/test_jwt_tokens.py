"""A token is believed only if everything about it is right."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from lookup_app.problems import Problem, ProblemType
from lookup_app.protection.jwt_tokens import JwtTokens
from tests.unit.lookup_app.protection.issuer import (
    EC_KEY,
    ED_KEY,
    KEYS,
    OTHER_KEY,
    RSA_KEY,
    SETTINGS,
    claims,
    jwk,
    jwks,
    token,
)

DATASETS = ("instruments", "issuers")


@pytest.fixture
def tokens() -> JwtTokens:
    made = JwtTokens(SETTINGS, DATASETS, fetch=lambda: KEYS)
    made.keys.refresh()
    return made


def part(content: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(content).encode()).rstrip(b"=").decode()


def hs256_with_the_public_key() -> str:
    """The old attack: the public key, which everybody has, as the secret of a symmetric signature."""
    secret = RSA_KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    signed = f"{part({'alg': 'HS256', 'kid': 'rsa', 'typ': 'JWT'})}.{part(claims())}"
    signature = base64.urlsafe_b64encode(hmac.new(secret, signed.encode(), hashlib.sha256).digest())
    return f"{signed}.{signature.rstrip(b'=').decode()}"


def with_other_claims() -> str:
    header, _, signature = token().split(".")
    return f"{header}.{part(claims(sub='admin'))}.{signature}"


def with_its_own_key() -> str:
    return jwt.encode(claims(), OTHER_KEY, "ES256", {"kid": "mine", "jwk": jwk(OTHER_KEY, "mine")})


NOW = int(time.time())
BAD: dict[str, Callable[[], str]] = {
    "empty": lambda: "",
    "garbage": lambda: "garbage",
    "three empty parts": lambda: "..",
    "not ASCII": lambda: "é.é.é",
    "nested beyond reason": lambda: f"{base64.urlsafe_b64encode(b'[' * 3000).decode()}.e30.",
    "too long": lambda: "a" * 9000,
    "expired": lambda: token(exp=NOW - 60),
    "no expiry": lambda: token(exp=None),
    "expiry is a text": lambda: token(exp="soon"),
    "not yet valid": lambda: token(nbf=NOW + 300),
    "issued in the future": lambda: token(iat=NOW + 300),
    "wrong audience": lambda: token(aud="another"),
    "no audience": lambda: token(aud=None),
    "wrong issuer": lambda: token(iss="https://evil.example"),
    "no issuer": lambda: token(iss=None),
    "no client": lambda: token(sub=None),
    "empty client": lambda: token(sub=""),
    "alg none": lambda: f"{part({'alg': 'none', 'kid': 'ec'})}.{part(claims())}.",
    "alg None with a signature": lambda: f"{part({'alg': 'None', 'kid': 'ec'})}.{part(claims())}.e30",
    "HS256 with the public key": hs256_with_the_public_key,
    "signed with another key": lambda: token(OTHER_KEY),
    "another key's id": lambda: token(EC_KEY, kid="rsa"),
    "unknown kid": lambda: token(kid="unknown"),
    "no kid": lambda: token(kid=None),
    "its own key inside": with_its_own_key,
    "claims changed": with_other_claims,
    "allowed nowhere": lambda: token(RSA_KEY, "RS512", "rsa"),
}


@pytest.mark.parametrize("make", BAD.values(), ids=BAD.keys())
def test_a_bad_token_is_refused(tokens: JwtTokens, make: Callable[[], str]) -> None:
    with pytest.raises(Problem) as raised:
        tokens.identify(f"Bearer {make()}", 0)
    assert raised.value.kind is ProblemType.UNAUTHENTICATED
    assert raised.value.headers["WWW-Authenticate"] == 'Bearer realm="instrument-cache", error="invalid_token"'
    assert not tokens.known


@pytest.mark.parametrize("header", ["", "Basic dXNlcjpwYXNz", "Bearer", "Token x"])
def test_another_kind_of_header_is_refused(tokens: JwtTokens, header: str) -> None:
    with pytest.raises(Problem) as raised:
        tokens.identify(header, 0)
    assert raised.value.kind is ProblemType.UNAUTHENTICATED


@pytest.mark.parametrize(
    "make",
    [
        token,
        lambda: token(RSA_KEY, "RS256", "rsa"),
        lambda: token(ED_KEY, "EdDSA", "ed"),
        lambda: token(exp=int(time.time()) - 5),  # within the leeway
    ],
)
def test_a_good_token_is_believed_and_remembered(tokens: JwtTokens, make: Callable[[], str]) -> None:
    good = make()
    identity = tokens.identify(f"bearer {good}", 1000.0)
    assert identity[:2] == ("jwt:desk-1", frozenset({"instruments"}))
    assert 0 < identity.until_s - 1000 <= 600 + SETTINGS.leeway_s
    assert tokens.known[f"bearer {good}"] == identity


@pytest.mark.parametrize(
    ("scopes", "datasets"),
    [
        ({"scope": "instruments:read issuers:read"}, {"instruments", "issuers"}),
        ({"scope": None, "scp": ["issuers:read"]}, {"issuers"}),
        ({"scope": ["instruments:read", 7]}, {"instruments"}),
        ({"scope": "instruments:readwrite xinstruments:read"}, set()),
        ({"scope": None}, set()),
        ({"scope": {"instruments:read": 1}}, set()),
    ],
)
def test_scopes(tokens: JwtTokens, scopes: dict[str, Any], datasets: set[str]) -> None:
    assert tokens.identify(f"Bearer {token(**scopes)}", 0).datasets == datasets


def test_the_number_of_remembered_tokens_is_bounded() -> None:
    tokens = JwtTokens(replace(SETTINGS, tokens_max=3), DATASETS, fetch=lambda: KEYS)
    tokens.keys.refresh()
    for number in range(5):
        tokens.identify(f"Bearer {token(sub=str(number))}", 0)
    assert [identity.client for identity in tokens.known.values()] == ["jwt:2", "jwt:3", "jwt:4"]


def test_tokens_of_a_key_that_was_taken_away_are_forgotten() -> None:
    documents = [KEYS, jwks(jwk(RSA_KEY, "rsa"))]
    tokens = JwtTokens(SETTINGS, DATASETS, fetch=lambda: documents[0])
    tokens.keys.refresh()
    tokens.identify(f"Bearer {token()}", 0)
    tokens.keys.refresh()
    assert tokens.known, "the same keys again change nothing"
    documents.pop(0)
    tokens.keys.refresh()
    assert not tokens.known
