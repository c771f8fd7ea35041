"""The settings of the server around the application: its processes, its limits, and how it ends."""

from __future__ import annotations

from dataclasses import dataclass

from instrument_cache.settings import Environment, environment


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """Times in seconds. `threads`, `connections_max` and `backlog` are those of each worker process."""

    workers: int = 1
    threads: int = 4
    backlog: int = 1024
    connections_max: int = 4096
    header_timeout_s: float = 15
    header_bytes_max: int = 65_536
    body_timeout_s: float = 10
    drain_s: float = 5
    stop_s: int = 10
    metrics_folder: str | None = None
    real_time: bool = True


def server_settings(env: Environment | None = None) -> ServerSettings:
    """Read the environment. Raises SettingsError, which names the setting, its value and the rule."""
    env = env or environment()
    return ServerSettings(
        workers=env.integer("ICACHE_LOOKUP_WORKERS", 1, 1, 64),
        threads=env.integer("ICACHE_LOOKUP_THREADS", 4, 1, 256),
        backlog=env.integer("ICACHE_LOOKUP_BACKLOG", 1024, 128, 65_535),
        connections_max=env.integer("ICACHE_LOOKUP_CONNECTIONS_MAX", 4096, 1, 1_000_000),
        header_timeout_s=env.integer("ICACHE_LOOKUP_HEADER_TIMEOUT_S", 15, 1, 600),
        header_bytes_max=env.integer("ICACHE_LOOKUP_HEADER_BYTES_MAX", 65_536, 8192, 1024 * 1024),
        body_timeout_s=env.integer("ICACHE_LOOKUP_BODY_TIMEOUT_S", 10, 0, 600),
        drain_s=env.integer("ICACHE_LOOKUP_DRAIN_S", 5, 0, 600),
        stop_s=env.integer("ICACHE_LOOKUP_STOP_S", 10, 1, 600),
        metrics_folder=env.variables.get("ICACHE_LOOKUP_METRICS_DIR") or None,
        real_time=env.boolean("ICACHE_LOOKUP_REAL_TIME", True),
    )
