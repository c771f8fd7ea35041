"""The settings of protection, all checked before the first request. Everything is off unless it is turned on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from instrument_cache.errors import SettingsError
from instrument_cache.settings import Environment, environment

# Signatures that are made with a private key. With a shared secret (HS…) whoever can check a token can also forge one.
ALGORITHMS: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
_LOOPBACK: Final = ("127.0.0.1", "::1", "localhost")
SCHEMES: Final = ("jwt", "api-key")


@dataclass(frozen=True, slots=True)
class JwtSettings:
    """Which tokens are believed. Times in seconds."""

    jwks: str
    issuer: str
    audience: str
    algorithms: tuple[str, ...] = ("RS256", "ES256", "EdDSA")
    scope: str = "{dataset}:read"
    client_claim: str = "sub"
    leeway_s: float = 30
    refresh_s: float = 300
    cooldown_s: float = 10
    keys_age_s_max: float = 86_400
    tokens_max: int = 10_000


@dataclass(frozen=True, slots=True)
class ApiKeySettings:
    """How long a key that was read is used without being read again. Times in seconds."""

    ttl_s: float = 5
    age_s_max: float = 300
    keys_max: int = 10_000


@dataclass(frozen=True, slots=True)
class RateSettings:
    """What one client may do in one worker process; `per_s` 0 is no limit."""

    per_s: float = 0
    burst: int = 0
    clients_max: int = 10_000


@dataclass(frozen=True, slots=True)
class BulkheadSettings:
    """How many batches run at once in one worker process, and how long the next one waits."""

    batches_max: int = 2
    wait_s: float = 0.05


@dataclass(frozen=True, slots=True)
class ProtectionSettings:
    """Made by `protection_settings`; tests may make one by hand. What is None is off."""

    jwt: JwtSettings | None = None
    api_keys: ApiKeySettings | None = None
    rate: RateSettings = field(default_factory=RateSettings)
    bulkhead: BulkheadSettings = field(default_factory=BulkheadSettings)


def protection_settings(env: Environment | None = None) -> ProtectionSettings:
    """Read the environment. Raises SettingsError, which names the setting, its value and the rule."""
    env = env or environment()
    schemes = _schemes(env)
    return ProtectionSettings(
        jwt=_jwt(env) if "jwt" in schemes else None,
        api_keys=_api_keys(env) if "api-key" in schemes else None,
        rate=_rate(env),
        bulkhead=BulkheadSettings(
            batches_max=env.integer("ICACHE_LOOKUP_BATCHES_MAX", 2, 1, 1000),
            wait_s=env.integer("ICACHE_LOOKUP_BATCH_WAIT_MS", 50, 0, 5000) / 1000,
        ),
    )


def _schemes(env: Environment) -> tuple[str, ...]:
    text = env.text("ICACHE_LOOKUP_AUTH", "off")
    schemes = tuple(part.strip() for part in text.split(",")) if text != "off" else ()
    if not set(schemes) <= {*SCHEMES}:
        raise SettingsError(f"ICACHE_LOOKUP_AUTH is {text!r}; it must be off, jwt, api-key or jwt,api-key")
    return schemes


def _jwt(env: Environment) -> JwtSettings:
    return JwtSettings(
        jwks=_jwks(env),
        issuer=env.text("ICACHE_LOOKUP_JWT_ISSUER"),
        audience=env.text("ICACHE_LOOKUP_JWT_AUDIENCE"),
        algorithms=_algorithms(env),
        scope=_scope(env),
        client_claim=env.text("ICACHE_LOOKUP_JWT_CLIENT_CLAIM", "sub"),
        leeway_s=env.integer("ICACHE_LOOKUP_JWT_LEEWAY_S", 30, 0, 600),
        refresh_s=env.integer("ICACHE_LOOKUP_JWKS_REFRESH_S", 300, 1, 86_400),
        cooldown_s=env.integer("ICACHE_LOOKUP_JWKS_COOLDOWN_S", 10, 1, 3600),
        keys_age_s_max=env.integer("ICACHE_LOOKUP_JWKS_AGE_S_MAX", 86_400, 1, 604_800),
        tokens_max=env.integer("ICACHE_LOOKUP_TOKENS_MAX", 10_000, 1, 1_000_000),
    )


def _jwks(env: Environment) -> str:
    """A file's path, or an address from which nobody on the way can hand us keys of his own."""
    text = env.text("ICACHE_LOOKUP_JWKS")
    parts = urlsplit(text)
    if "://" in text and parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOOPBACK):
        raise SettingsError(
            f"ICACHE_LOOKUP_JWKS is {text!r}; it must be a file, an https:// URL, or an http:// URL of this machine"
        )
    return text


def _algorithms(env: Environment) -> tuple[str, ...]:
    text = env.text("ICACHE_LOOKUP_JWT_ALGORITHMS", "RS256,ES256,EdDSA")
    algorithms = tuple(part.strip() for part in text.split(","))
    if not set(algorithms) <= {*ALGORITHMS}:
        raise SettingsError(f"ICACHE_LOOKUP_JWT_ALGORITHMS is {text!r}; it must list some of {', '.join(ALGORITHMS)}")
    return algorithms


def _scope(env: Environment) -> str:
    text = env.text("ICACHE_LOOKUP_JWT_SCOPE", "{dataset}:read")
    if {*text.replace("{dataset}", "")} & {*"{} "}:
        raise SettingsError(f"ICACHE_LOOKUP_JWT_SCOPE is {text!r}; it must be one scope, with {{dataset}} for the name")
    return text


def _api_keys(env: Environment) -> ApiKeySettings:
    return ApiKeySettings(
        ttl_s=env.integer("ICACHE_LOOKUP_API_KEY_TTL_S", 5, 1, 3600),
        age_s_max=env.integer("ICACHE_LOOKUP_API_KEY_AGE_S_MAX", 300, 1, 86_400),
        keys_max=env.integer("ICACHE_LOOKUP_API_KEYS_MAX", 10_000, 1, 1_000_000),
    )


def _rate(env: Environment) -> RateSettings:
    """What the service grants a client, divided among the workers: they count each for itself."""
    workers = env.integer("ICACHE_LOOKUP_WORKERS", 1, 1, 64)
    per_s = env.integer("ICACHE_LOOKUP_RATE_PER_S", 0, 0, 1_000_000)
    burst = env.integer("ICACHE_LOOKUP_RATE_BURST", 0, 0, 1_000_000) or 2 * per_s
    return RateSettings(
        per_s=per_s / workers,
        burst=max(burst // workers, 1),
        clients_max=env.integer("ICACHE_LOOKUP_RATE_CLIENTS_MAX", 10_000, 1, 1_000_000),
    )
