"""Where the source is asked for what the cache does not know. Off unless ICACHE_LOOKUP_FALLBACK_URL is set."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import urlsplit

from instrument_cache.errors import SettingsError
from instrument_cache.settings import Environment, environment


@dataclass(frozen=True, slots=True)
class FallbackSettings:
    """`url` holds `{key}` and may hold `{dataset}`. Times in seconds."""

    url: str
    token: str | None = field(default=None, repr=False)
    timeout_s: float = 0.3
    negative_s: int = 10
    calls_max: int = 2


def fallback_settings(env: Environment | None = None) -> FallbackSettings | None:
    """None: there is no fallback. Raises SettingsError, which names the setting, its value and the rule."""
    env = env or environment()
    url = env.variables.get("ICACHE_LOOKUP_FALLBACK_URL") or ""
    if not url:
        return None
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or "{key}" not in parts.path:
        raise SettingsError(
            f"ICACHE_LOOKUP_FALLBACK_URL is {url!r}; it must be an http:// or https:// URL with {{key}} in its path"
        )
    return FallbackSettings(
        url=url,
        token=_token(env),
        timeout_s=env.integer("ICACHE_LOOKUP_FALLBACK_TIMEOUT_MS", 300, 10, 5000) / 1000,
        negative_s=env.integer("ICACHE_LOOKUP_FALLBACK_NEGATIVE_S", 10, 1, 3600),
        calls_max=env.integer("ICACHE_LOOKUP_FALLBACK_CALLS_MAX", 2, 1, 64),
    )


def _token(env: Environment) -> str | None:
    name = "ICACHE_LOOKUP_FALLBACK_TOKEN"
    is_set = env.variables.get(name) or env.variables.get(f"{name}_FILE")
    return env.secret("ICACHE_LOOKUP_FALLBACK_TOKEN") if is_set else None
