"""The key that signs tokens: its public half is published before it signs, and as long as its last token lives.

The slot holds the private key as a JWK; `SLOT.jwks` beside it holds the public keys, which the lookup service reads.
"""

from __future__ import annotations

import hashlib
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from instrument_cache.errors import RotationError
from instrument_cache.rotation.model import Holder

JWKS: Final = ".jwks"
_PUBLIC: Final = {"OKP": ("crv", "kty", "x"), "EC": ("crv", "kty", "x", "y"), "RSA": ("e", "kty", "n")}


class JwtKey:
    """Implements `Issuer`. `known_s`: until all services have read the published keys; `grace_s`: a token's life.

    A service that does not know the key of a token refuses it, so the issuer may not sign with a key as soon as it is
    published.
    """

    def __init__(self, holder: Holder, slot: str, known_s: float, grace_s: float) -> None:
        self._holder, self._slot, self.known_s, self.grace_s = holder, slot + JWKS, known_s, grace_s

    def new(self, old: str) -> str:
        return private_jwk(_parsed(old).get("alg", ""))

    def accepts(self, secret: str) -> bool:
        return published(secret) in self._keys()

    def add(self, secret: str, like: str) -> None:
        key, keys = published(secret), self._keys()
        if key not in keys:
            self._publish([*keys, key])

    def remove(self, secret: str) -> None:
        key, keys = published(secret), self._keys()
        if key in keys:
            self._publish([held for held in keys if held != key])

    def users(self, secret: str, since_s: float) -> str:
        """Nobody: a token that the old key signed has expired by the end of `grace_s`."""
        return ""

    refused = users

    def _keys(self) -> list[dict[str, Any]]:
        held = self._holder.read(self._slot) or '{"keys":[]}'
        try:
            return msgspec.json.decode(held, type=dict[str, list[Any]])["keys"]
        except (msgspec.DecodeError, KeyError):
            raise RotationError(f"the slot {self._slot!r} holds no JWK Set; publish the keys in use there") from None

    def _publish(self, keys: list[dict[str, Any]]) -> None:
        self._holder.write({self._slot: msgspec.json.encode({"keys": keys}).decode()})


def private_jwk(algorithm: str) -> str:
    """A new private key for EdDSA, ES256 or RS256, with its id. Raises RotationError for another algorithm."""
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
    from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

    makers: Mapping[str, Callable[[], Any]] = {
        "EdDSA": lambda: OKPAlgorithm.to_jwk(ed25519.Ed25519PrivateKey.generate(), as_dict=True),
        "ES256": lambda: ECAlgorithm.to_jwk(ec.generate_private_key(ec.SECP256R1()), as_dict=True),
        "RS256": lambda: RSAAlgorithm.to_jwk(rsa.generate_private_key(65537, 2048), as_dict=True),
    }
    if algorithm not in makers:
        raise RotationError(f"the JWK's alg is {algorithm!r}; it must be one of {', '.join(makers)}")
    jwk = {**makers[algorithm](), "alg": algorithm}
    return msgspec.json.encode({**jwk, "kid": _thumbprint(jwk)}).decode()


def published(secret: str) -> dict[str, Any]:
    """The public half, as the lookup service reads it."""
    jwk = _parsed(secret)
    return {**_public(jwk), "alg": jwk.get("alg"), "kid": jwk.get("kid"), "use": "sig"}


def _public(jwk: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return {name: jwk[name] for name in _PUBLIC[jwk["kty"]]}
    except KeyError:
        raise RotationError("the slot holds no private JWK of the kind OKP, EC or RSA") from None


def _thumbprint(jwk: Mapping[str, Any]) -> str:
    """RFC 7638."""
    digest = hashlib.sha256(msgspec.json.encode(_public(jwk))).digest()
    return urlsafe_b64encode(digest).decode().rstrip("=")


def _parsed(secret: str) -> dict[str, Any]:
    try:
        return msgspec.json.decode(secret, type=dict[str, Any])
    except msgspec.DecodeError:  # its text may hold the key
        raise RotationError("the slot holds no private JWK; write the key there with which tokens are signed") from None
