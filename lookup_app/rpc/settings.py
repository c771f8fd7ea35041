"""The settings of the gRPC process, all checked before the first call."""

from __future__ import annotations

from dataclasses import dataclass

from instrument_cache.settings import Environment, environment


@dataclass(frozen=True, slots=True)
class RpcSettings:
    """`threads` read the store; `message_bytes_max` bounds a request."""

    threads: int = 8
    message_bytes_max: int = 1024 * 1024


def rpc_settings(env: Environment | None = None) -> RpcSettings:
    """Read the environment. Raises SettingsError, which names the setting, its value and the rule."""
    env = env or environment()
    return RpcSettings(
        threads=env.integer("ICACHE_LOOKUP_RPC_THREADS", 8, 1, 256),
        message_bytes_max=env.integer("ICACHE_LOOKUP_RPC_MESSAGE_BYTES_MAX", 1024 * 1024, 65_536, 64 * 1024 * 1024),
    )
