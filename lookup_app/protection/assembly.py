"""Puts the protection together that the settings ask for, and starts what works in the background."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from lookup_app.protection.bulkhead import Bulkhead
from lookup_app.protection.gate import Gate
from lookup_app.protection.rate_limit import RateLimit
from lookup_app.protection.settings import ProtectionSettings


class Protection(NamedTuple):
    """What guards one worker process."""

    gate: Gate
    bulkhead: Bulkhead


def create_protection(
    settings: ProtectionSettings, datasets: Collection[str], redis_url: str, redis_timeout_s: float = 0.150
) -> Protection:
    """The gate to `datasets` and the bulkhead. To be made in the process that serves: it starts threads."""
    schemes = tuple(
        name for name, part in (("Bearer", settings.jwt), ("ApiKey", settings.api_keys)) if part is not None
    )
    tokens = api_keys = None
    if settings.jwt is not None:
        from lookup_app.protection.jwt_tokens import JwtTokens

        tokens = JwtTokens(settings.jwt, datasets, schemes)
        tokens.keys.start()
    if settings.api_keys is not None:
        from instrument_cache.api_keys import KeyStore
        from lookup_app.protection.api_keys import ApiKeys

        api_keys = ApiKeys(settings.api_keys, datasets, KeyStore.connect(redis_url, redis_timeout_s / 2), schemes)
        api_keys.start()
    limit = RateLimit(settings.rate) if settings.rate.per_s > 0 else None
    return Protection(Gate(datasets, tokens, api_keys, limit), Bulkhead(settings.bulkhead))
