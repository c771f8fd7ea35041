"""Bearer tokens: signed by an issuer that is believed, for this audience, and with a scope for each dataset."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

import jwt
from jwt.exceptions import PyJWTError

from lookup_app.protection.identity import Identity, Remembered, unauthenticated
from lookup_app.protection.key_set import Key, KeySet, fetcher
from lookup_app.protection.settings import JwtSettings

CHARACTERS_MAX: Final = 8192
_CLIENT_CHARACTERS_MAX: Final = 200
_PREFIX: Final = "bearer "


class JwtTokens:
    """A `Scheme` for the header `Authorization`. `known` are the tokens that were checked and still hold."""

    def __init__(
        self,
        settings: JwtSettings,
        datasets: Collection[str],
        schemes: tuple[str, ...] = ("Bearer",),
        fetch: Callable[[], bytes] | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.known = Remembered(settings.tokens_max)
        self._settings, self._schemes = settings, schemes
        self._scopes = {dataset: settings.scope.replace("{dataset}", dataset) for dataset in datasets}
        # Another set of keys may lack the one that a known token was checked with.
        self.keys = KeySet(settings, fetch or fetcher(settings.jwks), self.known.forget_all, monotonic)

    def close(self) -> None:
        """Read the issuer's keys no more."""
        self.keys.close()

    def identify(self, credential: str, now_s: float) -> Identity:
        """Check the token in a header `Bearer …`. Raises Problem `unauthenticated` or `keys-unavailable`."""
        generation = self.keys.generation
        try:
            identity = self._identity(self._claims(_token(credential)), now_s)
        except (PyJWTError, ValueError, RecursionError) as error:
            self.known.forget(credential)
            detail = f"The token is not believed: {str(error)[:200] or type(error).__name__}."
            raise unauthenticated(detail, self._schemes, invalid=True) from None
        self.known.remember(credential, identity)
        if self.keys.generation != generation:  # checked with a key that was just taken away, perhaps
            self.known.forget(credential)
        return identity

    def _claims(self, token: str) -> dict[str, Any]:
        key = self._key(jwt.get_unverified_header(token))
        return jwt.decode(
            token,
            key.public,
            algorithms=list(key.algorithms),
            audience=self._settings.audience,
            issuer=self._settings.issuer,
            leeway=self._settings.leeway_s,
            options={"require": ["exp", "iss", "aud", self._settings.client_claim]},
        )

    def _key(self, header: Mapping[str, Any]) -> Key:
        """The key that the header names. What it says beyond that (its algorithm, keys, addresses) chooses nothing."""
        kid, algorithm = header.get("kid"), header.get("alg")
        if algorithm not in self._settings.algorithms:
            raise ValueError(f"its algorithm is none of {', '.join(self._settings.algorithms)}")
        if not isinstance(kid, str) or not kid:
            raise ValueError("its header has no kid")
        key = self.keys.key(kid)
        if key is None:
            raise ValueError(f"the issuer has no key {kid[:100]!r}")
        return key

    def _identity(self, claims: Mapping[str, Any], now_s: float) -> Identity:
        granted = _scopes_of(claims)
        datasets = frozenset(dataset for dataset, scope in self._scopes.items() if scope in granted)
        client = str(claims[self._settings.client_claim])[:_CLIENT_CHARACTERS_MAX]
        if not client:
            raise ValueError(f"its claim {self._settings.client_claim!r} is empty")
        remaining_s = float(claims["exp"]) + self._settings.leeway_s - time.time()
        return Identity(f"jwt:{client}", datasets, now_s + remaining_s)


def _token(credential: str) -> str:
    if len(credential) > CHARACTERS_MAX:
        raise ValueError(f"the header Authorization has more than {CHARACTERS_MAX} characters")
    if credential[: len(_PREFIX)].lower() != _PREFIX:
        raise ValueError("the header Authorization is not of the form 'Bearer TOKEN'")
    return credential[len(_PREFIX) :].strip()


def _scopes_of(claims: Mapping[str, Any]) -> frozenset[str]:
    """`scope` is a text with spaces (RFC 8693); some issuers name it `scp`, some make it a list."""
    found: set[str] = set()
    for name in ("scope", "scp"):
        value = claims.get(name, "")
        parts = value.split() if isinstance(value, str) else value if isinstance(value, list) else []
        found.update(part for part in parts if isinstance(part, str))
    return frozenset(found)
