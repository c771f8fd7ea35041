"""The settings of the near cache."""

from __future__ import annotations

from dataclasses import dataclass

from instrument_cache.settings import Environment


@dataclass(frozen=True, slots=True)
class CacheSettings:
    """How much is kept, for how long it is believed, and what is loaded before the first caller. `bytes_max` 0: off."""

    bytes_max: int = 256 * 1024 * 1024
    freshness_s: float = 1.0
    stale_s_max: float = 300.0
    hot_keys: int = 10_000
    warm_up_s_max: float = 10.0


def cache_settings(env: Environment) -> CacheSettings:
    """Read the environment. Raises SettingsError."""
    return CacheSettings(
        bytes_max=env.integer("ICACHE_LOOKUP_CACHE_BYTES", 256 * 1024 * 1024, 0, 64 * 1024 * 1024 * 1024),
        freshness_s=env.integer("ICACHE_LOOKUP_FRESHNESS_MS", 1000, 100, 60_000) / 1000,
        stale_s_max=float(env.integer("ICACHE_LOOKUP_STALE_S_MAX", 300, 0, 86_400)),
        hot_keys=env.integer("ICACHE_LOOKUP_HOT_KEYS", 10_000, 0, 100_000),
        warm_up_s_max=float(env.integer("ICACHE_LOOKUP_WARM_UP_S_MAX", 10, 0, 600)),
    )
