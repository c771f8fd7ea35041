"""The service's settings, all checked before the first request."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from instrument_cache.errors import SettingsError
from instrument_cache.settings import Environment, contract_path, environment, redis_url
from lookup_app.cache.settings import CacheSettings, cache_settings
from lookup_app.fallback.settings import FallbackSettings, fallback_settings


@dataclass(frozen=True, slots=True)
class LookupSettings:
    """What a lookup process needs to know. Made by `lookup_settings`; tests may make one by hand."""

    redis_url: str = field(repr=False)
    contract_paths: tuple[Path, ...]
    redis_timeout_s: float = 0.150
    body_bytes_max: int = 1024 * 1024
    batch_ids_max: int = 1000
    hot_path: bool = True
    cache: CacheSettings = field(default_factory=CacheSettings)
    changes_url: str | None = None
    fallback: FallbackSettings | None = None


def lookup_settings(env: Environment | None = None) -> LookupSettings:
    """Read the environment. Raises SettingsError, which names the setting, its value and the rule."""
    env = env or environment()
    return LookupSettings(
        redis_url=redis_url(env),
        contract_paths=contract_paths(env),
        redis_timeout_s=env.integer("ICACHE_LOOKUP_REDIS_TIMEOUT_MS", 150, 10, 5000) / 1000,
        body_bytes_max=env.integer("ICACHE_LOOKUP_BODY_BYTES_MAX", 1024 * 1024, 1024, 64 * 1024 * 1024),
        batch_ids_max=env.integer("ICACHE_LOOKUP_BATCH_IDS_MAX", 1000, 1, 10_000),
        hot_path=env.boolean("ICACHE_LOOKUP_HOT_PATH", True),
        cache=cache_settings(env),
        changes_url=_changes_url(env),
        fallback=fallback_settings(env),
    )


def contract_paths(env: Environment | None = None) -> tuple[Path, ...]:
    """The contract of each dataset that is served (ICACHE_LOOKUP_DATASETS, else the one of ICACHE_DATASET)."""
    env = env or environment()
    own = contract_path(env)
    text = env.variables.get("ICACHE_LOOKUP_DATASETS") or own.stem
    names = [name.strip() for name in text.split(",")]
    if not all(names) or len(set(names)) < len(names):
        raise SettingsError(f"ICACHE_LOOKUP_DATASETS is {text!r}; it must be names of datasets, each once: a,b")
    return tuple(own.with_name(f"{name}.yaml") for name in names)


def _changes_url(env: Environment) -> str | None:
    """Where the change stream's own process is, as callers reach it; None: there is none."""
    url = (env.variables.get("ICACHE_LOOKUP_CHANGES_URL") or "").rstrip("/")
    if url and not url.startswith(("http://", "https://")):
        raise SettingsError(f"ICACHE_LOOKUP_CHANGES_URL is {url!r}; it must be an http:// or https:// URL")
    return url or None
