"""The settings of the change stream, all checked before the first listener."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from instrument_cache.errors import SettingsError
from instrument_cache.settings import Environment, environment, redis_url
from lookup_app.config import contract_paths


@dataclass(frozen=True, slots=True)
class ChangesSettings:
    """What a process needs that tells changes. `origins`: those whose pages may listen; `*` is any."""

    redis_url: str = field(repr=False)
    kafka_bootstrap: str
    contract_paths: tuple[Path, ...]
    clients_max: int = 2000
    waiting_bytes_max: int = 1024 * 1024
    heartbeat_s: int = 10
    origins: tuple[str, ...] = ()


def changes_settings(env: Environment | None = None) -> ChangesSettings:
    """Read the environment. Raises SettingsError, which names the setting, its value and the rule."""
    env = env or environment()
    return ChangesSettings(
        redis_url=redis_url(env),
        kafka_bootstrap=env.text("ICACHE_KAFKA_BOOTSTRAP"),
        contract_paths=contract_paths(env),
        clients_max=env.integer("ICACHE_LOOKUP_CHANGES_CLIENTS_MAX", 2000, 1, 20_000),
        waiting_bytes_max=env.integer("ICACHE_LOOKUP_CHANGES_WAITING_BYTES_MAX", 1024 * 1024, 65_536, 64 * 1024 * 1024),
        heartbeat_s=env.integer("ICACHE_LOOKUP_CHANGES_HEARTBEAT_S", 10, 1, 300),
        origins=_origins(env.variables.get("ICACHE_LOOKUP_CHANGES_ORIGINS") or ""),
    )


def _origins(text: str) -> tuple[str, ...]:
    origins = tuple(origin.strip() for origin in text.split(",") if origin.strip())
    for origin in origins:
        if origin != "*" and ("://" not in origin or origin.count("/") != 2):
            raise SettingsError(
                f"ICACHE_LOOKUP_CHANGES_ORIGINS has {origin!r}; an origin is SCHEME://HOST[:PORT] without a path, or *"
            )
    return origins
