"""Where the lane listens and what it is allowed, and how the server's own process tells its workers."""

from __future__ import annotations

import os
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from typing import Final

from instrument_cache.errors import SettingsError
from instrument_cache.settings import Environment, environment
from lookup_app.config import lookup_settings
from lookup_app.protection.settings import protection_settings
from lookup_app.server_settings import ServerSettings, server_settings

# Not settings: the parent process puts them into the environment of its workers.
_ADDRESS: Final = "_LOOKUP_FAST_LANE_ADDRESS"
_SERVER: Final = "_LOOKUP_FAST_LANE_SERVER"


@dataclass(frozen=True, slots=True)
class LaneSettings:
    """Times in seconds. `server` is the path of the unix socket at which the server behind listens."""

    address: tuple[str, int]
    server: str
    threads: int
    backlog: int
    connections_max: int
    header_timeout_s: float
    body_timeout_s: float
    stop_s: float

    @property
    def request_s_max(self) -> float:
        """From the first byte of a request that is passed on until its answer begins."""
        return self.header_timeout_s + self.body_timeout_s


def wanted(env: Environment | None = None) -> bool:
    """Whether this service is to have a fast lane. Raises SettingsError."""
    env = env or environment()
    if not env.boolean("ICACHE_LOOKUP_FAST_LANE", False):
        return False
    if not lookup_settings(env).hot_path:
        raise SettingsError("ICACHE_LOOKUP_FAST_LANE is 'true', which needs ICACHE_LOOKUP_HOT_PATH 'true' as well")
    protection = protection_settings(env)
    if protection.rate.per_s and protection.jwt is None and protection.api_keys is None:
        raise SettingsError(
            "ICACHE_LOOKUP_FAST_LANE is 'true', with a rate limit and ICACHE_LOOKUP_AUTH 'off'; the server behind the "
            "lane does not see addresses to limit: turn on authentication, or leave out one of the two"
        )
    return True


def hand_down(address: tuple[str, int], server: str, to: MutableMapping[str, str] = os.environ) -> None:
    """Have the workers that begin from now on open a lane."""
    to[_ADDRESS], to[_SERVER] = f"{address[0]} {address[1]}", server


def handed_down(variables: Mapping[str, str] = os.environ) -> LaneSettings | None:
    """The lane that this worker must open; None if there is none. Raises SettingsError."""
    given = variables.get(_ADDRESS)
    if given is None:
        return None
    host, port = given.split()
    return _with(server_settings(Environment(variables)), (host, int(port)), variables[_SERVER])


def _with(server: ServerSettings, address: tuple[str, int], path: str) -> LaneSettings:
    return LaneSettings(
        address=address,
        server=path,
        threads=server.threads,
        backlog=server.backlog,
        connections_max=server.connections_max,
        header_timeout_s=server.header_timeout_s,
        body_timeout_s=server.body_timeout_s,
        stop_s=server.stop_s,
    )
