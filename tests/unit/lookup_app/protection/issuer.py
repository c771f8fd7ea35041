"""An issuer of tokens for tests: keys, their set, and tokens good and bad. The cryptography is real."""

from __future__ import annotations

import json
import time
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from lookup_app.protection.settings import JwtSettings

ISSUER = "https://login.example"
AUDIENCE = "instrument-cache"
SETTINGS = JwtSettings("unused", ISSUER, AUDIENCE)

RSA_KEY = rsa.generate_private_key(65537, 2048)
EC_KEY = ec.generate_private_key(ec.SECP256R1())
OTHER_KEY = ec.generate_private_key(ec.SECP256R1())
ED_KEY = ed25519.Ed25519PrivateKey.generate()


def jwk(key: Any, kid: str, **members: Any) -> dict[str, Any]:
    """The public half of a key as a member of a JWK Set."""
    public = key.public_key()
    form: Any = ECAlgorithm
    if isinstance(key, rsa.RSAPrivateKey):
        form = RSAAlgorithm
    elif isinstance(key, ed25519.Ed25519PrivateKey):
        form = OKPAlgorithm
    return {**json.loads(form.to_jwk(public)), "kid": kid, **members}


def jwks(*keys: dict[str, Any]) -> bytes:
    return json.dumps({"keys": keys}).encode()


KEYS = jwks(jwk(RSA_KEY, "rsa", use="sig"), jwk(EC_KEY, "ec"), jwk(ED_KEY, "ed"))


def claims(**changes: Any) -> dict[str, Any]:
    """Those of a good token, changed; None takes one away."""
    now = int(time.time())
    good = {
        **{"iss": ISSUER, "aud": AUDIENCE, "sub": "desk-1", "scope": "openid instruments:read"},
        **{"iat": now, "exp": now + 600},
    }
    return {name: value for name, value in {**good, **changes}.items() if value is not None}


def token(key: Any = EC_KEY, algorithm: str = "ES256", kid: str | None = "ec", **changes: Any) -> str:
    headers = {} if kid is None else {"kid": kid}
    return jwt.encode(claims(**changes), key, algorithm, headers)
