"""The settings of protection are checked at the start, in one sentence."""

from __future__ import annotations

import pytest

from instrument_cache.errors import SettingsError
from instrument_cache.settings import Environment
from lookup_app.protection.settings import protection_settings

JWT = {
    "ICACHE_LOOKUP_AUTH": "jwt",
    "ICACHE_LOOKUP_JWKS": "https://login.example/keys",
    "ICACHE_LOOKUP_JWT_ISSUER": "https://login.example",
    "ICACHE_LOOKUP_JWT_AUDIENCE": "instrument-cache",
}


def test_all_is_off_by_default() -> None:
    settings = protection_settings(Environment({}))
    assert (settings.jwt, settings.api_keys, settings.rate.per_s) == (None, None, 0)
    assert settings.bulkhead.batches_max == 2


def test_on() -> None:
    settings = protection_settings(Environment({**JWT, "ICACHE_LOOKUP_AUTH": "jwt,api-key"}))
    assert settings.jwt is not None
    assert (settings.jwt.jwks, settings.jwt.scope) == ("https://login.example/keys", "{dataset}:read")
    assert settings.jwt.algorithms == ("RS256", "ES256", "EdDSA")
    assert settings.api_keys is not None
    assert settings.api_keys.ttl_s == 5


def test_the_rate_is_divided_among_the_workers() -> None:
    variables = {"ICACHE_LOOKUP_RATE_PER_S": "100", "ICACHE_LOOKUP_WORKERS": "4"}
    rate = protection_settings(Environment(variables)).rate
    assert (rate.per_s, rate.burst) == (25, 50)
    rate = protection_settings(Environment({**variables, "ICACHE_LOOKUP_RATE_BURST": "2"})).rate
    assert rate.burst == 1, "never none at all"


@pytest.mark.parametrize(
    ("name", "value", "rule"),
    [
        ("ICACHE_LOOKUP_AUTH", "basic", "off, jwt, api-key"),
        ("ICACHE_LOOKUP_AUTH", "jwt,off", "off, jwt, api-key"),
        ("ICACHE_LOOKUP_JWKS", "", "missing"),
        ("ICACHE_LOOKUP_JWKS", "http://login.example/keys", "https://"),
        ("ICACHE_LOOKUP_JWKS", "ftp://127.0.0.1/keys", "https://"),
        ("ICACHE_LOOKUP_JWT_ISSUER", "", "missing"),
        ("ICACHE_LOOKUP_JWT_AUDIENCE", "", "missing"),
        ("ICACHE_LOOKUP_JWT_ALGORITHMS", "HS256", "RS256"),
        ("ICACHE_LOOKUP_JWT_ALGORITHMS", "RS256,none", "RS256"),
        ("ICACHE_LOOKUP_JWT_SCOPE", "{name}:read", "one scope"),
        ("ICACHE_LOOKUP_JWT_SCOPE", "a b", "one scope"),
        ("ICACHE_LOOKUP_RATE_PER_S", "-1", "whole number"),
        ("ICACHE_LOOKUP_BATCHES_MAX", "0", "whole number"),
    ],
)
def test_a_bad_value_is_named(name: str, value: str, rule: str) -> None:
    with pytest.raises(SettingsError, match=rule) as raised:
        protection_settings(Environment({**JWT, name: value}))
    assert name in str(raised.value)


@pytest.mark.parametrize("place", ["/etc/jwks.json", "jwks.json", "http://127.0.0.1:8080/keys", "http://localhost/k"])
def test_places_of_keys(place: str) -> None:
    settings = protection_settings(Environment({**JWT, "ICACHE_LOOKUP_JWKS": place}))
    assert settings.jwt is not None
    assert settings.jwt.jwks == place
