"""The service's settings, all checked before the first request."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from instrument_cache.settings import Environment, contract_path, environment, redis_url


@dataclass(frozen=True, slots=True)
class LookupSettings:
    """What a lookup process needs to know. Made by `lookup_settings`; tests may make one by hand."""

    redis_url: str = field(repr=False)
    contract_path: Path
    redis_timeout_s: float = 0.150
    body_bytes_max: int = 1024 * 1024
    batch_ids_max: int = 1000


def lookup_settings(env: Environment | None = None) -> LookupSettings:
    """Read the environment. Raises SettingsError, which names the setting, its value and the rule."""
    env = env or environment()
    return LookupSettings(
        redis_url=redis_url(env),
        contract_path=contract_path(env),
        redis_timeout_s=env.integer("ICACHE_LOOKUP_REDIS_TIMEOUT_MS", 150, 10, 5000) / 1000,
        body_bytes_max=env.integer("ICACHE_LOOKUP_BODY_BYTES_MAX", 1024 * 1024, 1024, 64 * 1024 * 1024),
        batch_ids_max=env.integer("ICACHE_LOOKUP_BATCH_IDS_MAX", 1000, 1, 10_000),
    )
