"""Puts a rotation together from the settings: which holder, which issuer."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import redis
from redis.exceptions import RedisError

from instrument_cache.api_keys import KeyStore
from instrument_cache.connections import iam_client, redis_client
from instrument_cache.errors import SettingsError, StoreUnavailable
from instrument_cache.rotation.api_key import ApiKeyIssuer
from instrument_cache.rotation.exchange import Rotation
from instrument_cache.rotation.folder_holder import FolderHolder
from instrument_cache.rotation.jwt_key import JwtKey
from instrument_cache.rotation.model import Holder, Issuer
from instrument_cache.rotation.redis_user import RedisUser
from instrument_cache.rotation.s3_user import S3User
from instrument_cache.rotation.secret_holder import SecretHolder
from instrument_cache.rotation.settings import RotationSettings, Secret
from instrument_cache.settings import Environment, redis_url

_SENTINEL: Final = "redis+sentinel://"
_TIMEOUT_S: Final = 5.0


def holder_of(settings: RotationSettings) -> Holder:
    """Raises SettingsError for a place of another kind."""
    kind, _, place = settings.holder.partition(":")
    if kind == "folder" and place:
        return FolderHolder(Path(place))
    namespace, _, name = place.partition("/")
    if kind == "kubernetes" and namespace and name:
        return SecretHolder(namespace, name)
    raise SettingsError(
        f"ICACHE_ROTATION_HOLDER is {settings.holder!r}; it must be folder:PATH or kubernetes:NAMESPACE/SECRET"
    )


def rotation_of(env: Environment, settings: RotationSettings, secret: Secret) -> Rotation:
    """Raises SettingsError."""
    holder = holder_of(settings)
    issuer = _issuer(env, settings, secret, holder)
    watch_s = settings.watch_s if secret.kind == "redis" else 0  # the others do not tell whom they refuse
    return Rotation(secret.name, secret.slot, holder, issuer, watch_s=watch_s)


def _issuer(env: Environment, settings: RotationSettings, secret: Secret, holder: Holder) -> Issuer:
    if secret.kind == "jwt":
        return JwtKey(holder, secret.slot, settings.jwks_s, settings.token_s)
    if secret.kind == "s3":
        keys = env.secret("ICACHE_ROTATION_IAM_ACCESS_KEY"), env.secret("ICACHE_ROTATION_IAM_SECRET_KEY")
        region = env.text("ICACHE_S3_REGION", "us-east-1")
        client = iam_client(env.variables.get("ICACHE_ROTATION_IAM_URL") or None, *keys, region)
        return S3User(client, secret.owner, settings.grace_s)
    url = env.secret("ICACHE_ROTATION_REDIS_URL", redis_url(env))
    client = redis_client(url, name="rotation", timeout_s=_TIMEOUT_S)
    if secret.kind == "api-key":
        return ApiKeyIssuer(KeyStore(client), settings.quiet_s)
    also = partial(tell_sentinels, url) if url.startswith(_SENTINEL) and secret.owner == "default" else _nobody
    return RedisUser(client, secret.owner, settings.grace_s, also)


def _nobody(password: str) -> None:
    """Nobody else logs in as this user."""


def tell_sentinels(url: str, password: str) -> None:
    """Sentinels log in to the group that they watch. Raises StoreUnavailable if one of them does not answer."""
    parts = urlsplit(url)
    for node in parts.netloc.rpartition("@")[2].split(","):
        host, _, port = node.partition(":")
        client: Any = redis.Redis(host=host, port=int(port or 26379), socket_timeout=_TIMEOUT_S)
        try:
            client.execute_command("SENTINEL", "SET", parts.path.strip("/") or "mymaster", "auth-pass", password)
        except RedisError as error:
            raise StoreUnavailable(f"the Sentinel {node} did not take the new password: {error}") from error
        finally:
            client.close()
