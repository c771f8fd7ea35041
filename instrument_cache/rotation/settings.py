"""Which secrets rotate, where consumers read them, and how long each step waits."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from instrument_cache.errors import SettingsError
from instrument_cache.settings import Environment

_ENTRY: Final = re.compile(r"(redis|api-key|jwt|s3):([\w.@-]{1,100})=([\w.-]{1,200})", re.ASCII).fullmatch


@dataclass(frozen=True, slots=True)
class Secret:
    """One secret that rotates. `owner` is the Redis user, the client of the API key, the issuer, or the user of S3."""

    kind: str
    owner: str
    slot: str

    @property
    def name(self) -> str:
        """How people call it."""
        return f"{self.kind}:{self.owner}"


@dataclass(frozen=True, slots=True)
class RotationSettings:
    """Times in seconds."""

    secrets: tuple[Secret, ...]
    holder: str
    grace_s: int
    watch_s: int
    quiet_s: int
    jwks_s: int
    token_s: int

    def secret(self, name: str) -> Secret:
        """Raises SettingsError for a name that is not there."""
        for secret in self.secrets:
            if secret.name == name:
                return secret
        known = ", ".join(secret.name for secret in self.secrets) or "none"
        raise SettingsError(f"there is no secret {name!r} in ICACHE_ROTATION_SECRETS, which has {known}")


def rotation_settings(env: Environment) -> RotationSettings:
    """Raises SettingsError."""
    return RotationSettings(
        secrets=_secrets(env.text("ICACHE_ROTATION_SECRETS")),
        holder=env.text("ICACHE_ROTATION_HOLDER"),
        grace_s=env.integer("ICACHE_ROTATION_GRACE_S", default=180, low=0, high=86_400),
        watch_s=env.integer("ICACHE_ROTATION_WATCH_S", default=20, low=0, high=3600),
        quiet_s=env.integer("ICACHE_ROTATION_QUIET_S", default=3600, low=1, high=604_800),
        jwks_s=env.integer("ICACHE_ROTATION_JWKS_S", default=480, low=0, high=86_400),
        token_s=env.integer("ICACHE_ROTATION_TOKEN_S", default=3900, low=1, high=604_800),
    )


def _secrets(text: str) -> tuple[Secret, ...]:
    found = []
    for part in text.split(","):
        match = _ENTRY(part.strip())
        if match is None:
            rule = "each must be KIND:OWNER=SLOT, with the kind redis, api-key, jwt or s3"
            raise SettingsError(f"ICACHE_ROTATION_SECRETS has {part!r}; {rule}")
        found.append(Secret(match[1], match[2], match[3]))
    if len({secret.name for secret in found}) < len(found) or len({secret.slot for secret in found}) < len(found):
        raise SettingsError(f"ICACHE_ROTATION_SECRETS is {text!r}; no secret and no slot may be there twice")
    return tuple(found)
