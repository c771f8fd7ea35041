"""The one place that makes connections to Redis and S3, so that time-outs and fail-over are the same everywhere."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, parse_qsl, unquote, urlencode, urlsplit

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from redis.sentinel import Sentinel

from instrument_cache.errors import SettingsError
from instrument_cache.password_file import PASSWORD_FILE, PasswordFile
from instrument_cache.settings import S3Settings

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

SENTINEL_PORT = 26379
_SENTINEL_TIMEOUT_S = 0.5


def redis_client(url: str, *, name: str, timeout_s: float = 5.0, connections_max: int = 50) -> redis.Redis:
    """A Redis client for `redis://`, `rediss://`, `unix://` or `redis+sentinel://[user:password@]host:port,host:port/SERVICE`.

    With `?password_file=PATH` the password is read from that file for each new connection, so that it can change
    without a restart. It connects on first use. `name` is what CLIENT LIST shows. Raises SettingsError for a URL of
    another kind.
    """
    options: dict[str, Any] = {
        "socket_timeout": timeout_s,
        "socket_connect_timeout": timeout_s,
        "client_name": name,
        "health_check_interval": 15,
    }
    url, provider = _provider(url)
    if provider is not None:
        options["credential_provider"] = provider
    if url.startswith("redis+sentinel://"):
        return _sentinel_client(url, options)
    try:
        pool = redis.ConnectionPool.from_url(url, max_connections=connections_max, **options)
    except ValueError as error:
        raise SettingsError(f"the Redis URL {_without_password(url)!r} cannot be used: {error}") from None
    return redis.Redis(connection_pool=pool)


def _provider(url: str) -> tuple[str, PasswordFile | None]:
    """The URL without what names the user and the file of his password, and what reads that file."""
    parts = urlsplit(url)
    query = parse_qsl(parts.query, keep_blank_values=True)
    path = dict(query).get(PASSWORD_FILE)
    if path is None:
        return url, None
    if not path or parts.password is not None:
        raise SettingsError(
            f"the Redis URL {_without_password(url)!r} cannot be used: give a password, or the path of its file"
        )
    left = urlencode([(name, value) for name, value in query if name != PASSWORD_FILE])
    bare = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}{'?' * bool(left)}{left}"
    return bare, PasswordFile(_decoded(parts.username), path)


def _sentinel_client(url: str, options: dict[str, Any]) -> redis.Redis:
    parts = urlsplit(url)
    nodes = [_host_port(node) for node in parts.netloc.rpartition("@")[2].split(",")]
    query = parse_qs(parts.query)
    credentials = {"username": _decoded(parts.username), "password": _decoded(parts.password)}
    sentinel_options = {
        "socket_timeout": _SENTINEL_TIMEOUT_S,
        "socket_connect_timeout": _SENTINEL_TIMEOUT_S,
        "password": query.get("sentinel_password", [None])[0],
        # The next sentinel is the retry; the client's own ten with back-off would hold a caller for seconds.
        "retry": Retry(NoBackoff(), 0),
    }
    make: Any = Sentinel  # untyped in redis-py 5
    sentinel = make(nodes, sentinel_kwargs=sentinel_options, **credentials, **options)
    client: redis.Redis = sentinel.master_for(parts.path.strip("/") or "mymaster")
    return client


def _decoded(part: str | None) -> str | None:
    return unquote(part) if part else None


def _host_port(node: str) -> tuple[str, int]:
    host, _, port = node.partition(":")
    return host, int(port or SENTINEL_PORT)


def _without_password(url: str) -> str:
    return re.sub(r"://[^@/]*@", "://***@", url)


def iam_client(url: str | None, access_key: str, secret_key: str, region: str) -> Any:
    """A client of the API with which the users of S3 get their keys; without a URL, AWS's own."""
    import boto3
    from botocore.config import Config

    config = Config(connect_timeout=5, read_timeout=10, retries={"mode": "standard", "total_max_attempts": 3})
    return boto3.client(
        "iam",
        endpoint_url=url,
        aws_access_key_id=access_key,
        aws_secret_access_key=secret_key,
        region_name=region,
        config=config,
    )


def s3_client(settings: S3Settings, *, silence_s: float = 30.0, tries: int = 5) -> S3Client:
    """An S3 client for the endpoint, with path-style addresses. It tries again after `silence_s` without a byte.

    Keys in a file are read for each request.
    """
    import boto3
    from botocore.config import Config

    config = Config(
        signature_version="s3v4",  # for links too, which boto3 would sign in the way of old
        s3={"addressing_style": "path"},
        connect_timeout=5,
        read_timeout=silence_s,
        retries={"mode": "standard", "total_max_attempts": tries},
    )
    session: Any = boto3
    if settings.keys_file:
        from instrument_cache.keys_file import session_with

        session = boto3.Session(botocore_session=session_with(settings.keys_file))
    client: S3Client = session.client(
        "s3",
        endpoint_url=settings.endpoint,
        aws_access_key_id=settings.access_key or None,
        aws_secret_access_key=settings.secret_key or None,
        region_name=settings.region,
        config=config,
    )
    return client
