"""The password of a Redis user. A user may have two: both are good until the old one is taken away.

Connections that are logged in stay so, whatever becomes of the password.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import redis
import structlog
from redis.exceptions import RedisError, ResponseError

from instrument_cache.errors import StoreUnavailable

logger = structlog.get_logger()
_LOG_ENTRIES: Final = 128
_NAMED_MAX: Final = 3


class RedisUser:
    """Implements `Issuer` for one user, on the primary and each of its replicas: they do not tell each other of users.

    `client` may use ACL and CONFIG; it may be that user itself.
    """

    def __init__(
        self,
        client: redis.Redis,
        user: str = "default",
        grace_s: float = 0.0,
        also: Callable[[str], None] = lambda password: None,
    ) -> None:
        """`also` tells who logs in as the user and cannot read the secret by himself (a Sentinel)."""
        self._client: Any = client
        self._user, self.grace_s, self._also = user, grace_s, also
        self.known_s = 0.0

    def new(self, old: str) -> str:
        return secrets.token_urlsafe(32)

    def accepts(self, secret: str) -> bool:
        with self._errors("told no passwords"):
            return all(_hash(secret) in self._passwords(node) for node in self._nodes())

    def add(self, secret: str, like: str) -> None:
        with self._errors("took no second password"):
            for node in self._nodes():
                if _hash(secret) not in self._passwords(node):
                    node.execute_command("ACL", "SETUSER", self._user, f"#{_hash(secret)}")
                    _persist(node)
            # Every node believes the new one before any of them uses it to log in to another.
            for node in self._nodes():
                self._follow_with(node, secret)
        self._also(secret)

    def remove(self, secret: str) -> None:
        with self._errors("did not take a password away"):
            for node in self._nodes():
                if _hash(secret) in self._passwords(node):
                    node.execute_command("ACL", "SETUSER", self._user, f"!{_hash(secret)}")
                    _persist(node)

    def users(self, secret: str, since_s: float) -> str:
        """Who is refused as this user and so does not have the new password. Of other logins Redis tells nothing."""
        with self._errors("told no failed logins"):
            found = sorted({who for node in self._nodes() for who in self._failed(node, since_s)})
        return ", ".join(found[:_NAMED_MAX]) + (f" and {len(found) - _NAMED_MAX} more" * (len(found) > _NAMED_MAX))

    refused = users

    def _passwords(self, node: Any) -> set[str]:
        """SHA-256 of each. Raises ResponseError if there is no such user."""
        answer = node.execute_command("ACL", "GETUSER", self._user)
        if answer is None:
            raise ResponseError(f"there is no user {self._user!r}")
        told = {_text(name): value for name, value in _pairs(answer)}
        return {_text(password) for password in told["passwords"]}

    def _follow_with(self, node: Any, secret: str) -> None:
        """A replica that logs in to its primary as this user does so with the new password from now on."""
        config = node.config_get("master*")
        if config.get("masterauth") and (config.get("masteruser") or "default") == self._user:
            node.config_set("masterauth", secret)
            _persist(node)

    def _failed(self, node: Any, since_s: float) -> Iterator[str]:
        for entry in node.execute_command("ACL", "LOG", _LOG_ENTRIES):
            told = {_text(name): _text(value) for name, value in _pairs(entry)}
            if told["reason"] == "auth" and told["username"] == self._user and float(told["age-seconds"]) < since_s:
                address = dict(part.split("=", 1) for part in told["client-info"].split())["addr"]
                yield f"a login as {self._user!r} from {address} failed"

    def _nodes(self) -> list[Any]:
        """The primary and its replicas, each as a client with the same login."""
        role = self._client.execute_command("ROLE")
        return (
            [self._client, *(self._at(_text(host), int(port)) for host, port, _ in role[2])]
            if (_text(role[0]) == "master")
            else [self._client]
        )

    def _at(self, host: str, port: int) -> Any:
        kept = ("credential_provider", "username", "password", "socket_timeout", "socket_connect_timeout")
        options = self._client.connection_pool.connection_kwargs
        return redis.Redis(host=host, port=port, **{name: options[name] for name in kept if name in options})

    @contextmanager
    def _errors(self, what: str) -> Iterator[None]:
        try:
            yield
        except RedisError as error:
            raise StoreUnavailable(f"Redis {what} of the user {self._user!r}: {error}") from error


def _persist(node: Any) -> None:
    """Keep the passwords over a restart, in whichever file Redis keeps its users. Some have theirs from a Secret."""
    command = ("ACL", "SAVE") if node.config_get("aclfile").get("aclfile") else ("CONFIG", "REWRITE")
    try:
        node.execute_command(*command)
    except ResponseError as error:
        logger.warning("redis_users_not_kept", error=str(error))


def _pairs(entry: Any) -> Iterator[tuple[Any, Any]]:
    return iter(entry.items()) if isinstance(entry, dict) else zip(entry[::2], entry[1::2], strict=True)


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
