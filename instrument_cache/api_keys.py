"""API keys as Redis holds them: what a key may do, and a hash of its secret, which only the client has."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

import msgspec
import redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from instrument_cache.connections import redis_client
from instrument_cache.errors import InstrumentCacheError, StoreUnavailable

PREFIX: Final = "apikey:"
ALL: Final = "*"
_FORM: Final = re.compile(r"icache_([0-9a-f]{12})_([0-9a-f]{64})", re.ASCII).fullmatch
_READ_MAX: Final = 1000


class ApiKeyRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """Times in whole seconds since 1970. `datasets` may be `["*"]`."""

    hash: str
    client: str
    datasets: tuple[str, ...]
    created_at: int
    expires_at: int | None = None
    revoked_at: int | None = None

    def refusal(self, now: float) -> str | None:
        """Why the key is not to be believed, or None."""
        if self.revoked_at is not None:
            return "it was revoked"
        if self.expires_at is not None and now >= self.expires_at:
            return "it has expired"
        return None


class ApiKey(NamedTuple):
    """A key as a client sends it, taken apart."""

    id: str
    secret: str


_decode = msgspec.json.Decoder(ApiKeyRecord).decode


def parse(text: str) -> ApiKey | None:
    """The parts of `icache_<id>_<secret>`, or None for what has another form."""
    match = _FORM(text)
    return ApiKey(match[1], match[2]) if match else None


def new_key() -> str:
    """A key that nobody believes yet."""
    return f"icache_{secrets.token_hex(6)}_{secrets.token_hex(32)}"


def hash_of(secret: str) -> str:
    """SHA-256. A slow hash protects secrets that people choose; nobody guesses 256 random bits at any speed."""
    return hashlib.sha256(secret.encode()).hexdigest()


def matches(record: ApiKeyRecord, secret: str) -> bool:
    """In constant time: how long it takes tells nothing about the hash."""
    return hmac.compare_digest(record.hash, hash_of(secret))


class KeyStore:
    """Every method raises StoreUnavailable if Redis does not answer."""

    def __init__(self, client: redis.Redis) -> None:
        self._client: Any = client

    @classmethod
    def connect(cls, url: str, timeout_s: float = 5.0) -> KeyStore:
        """A store that connects on first use and tries once more at most, at once: a request may wait for it."""
        client: Any = redis_client(url, name="lookup-keys", timeout_s=timeout_s)
        client.connection_pool.connection_kwargs["retry"] = Retry(NoBackoff(), 1)
        return cls(client)

    def get(self, ids: Sequence[str]) -> list[ApiKeyRecord | None]:
        """One record per id, in order; None for what is not there or cannot be read."""
        found: list[ApiKeyRecord | None] = []
        for start in range(0, len(ids), _READ_MAX):
            found += map(_record, self._do("mget", [PREFIX + id_ for id_ in ids[start : start + _READ_MAX]]))
        return found

    def create(self, client: str, datasets: Sequence[str], expires_at: int | None = None) -> str:
        """A new key, as its client must send it. It cannot be shown again."""
        text = new_key()
        self.admit(text, ApiKeyRecord("", client, tuple(datasets), int(time.time()), expires_at))
        return text

    def admit(self, text: str, like: ApiKeyRecord) -> None:
        """Believe a key that was made elsewhere, with the rights and the times of `like`. Again changes nothing."""
        key = parse(text)
        if key is None:
            raise InstrumentCacheError("an API key must be of the form icache_ID_SECRET")
        record = msgspec.structs.replace(like, hash=hash_of(key.secret), revoked_at=None)
        if self._do("set", PREFIX + key.id, msgspec.json.encode(record), nx=True):
            return
        (there,) = self.get([key.id])
        if there is None or not matches(there, key.secret):
            raise InstrumentCacheError(f"the id {key.id!r} is taken, by chance; create the key again")
        if there.revoked_at is not None:
            self._do("set", PREFIX + key.id, msgspec.json.encode(msgspec.structs.replace(there, revoked_at=None)))

    def idle_s(self, id_: str) -> int | None:
        """For how long nobody has read the key's record, in seconds; None if there is none. This does not count."""
        found: int | None = self._do("object", "IDLETIME", PREFIX + id_)
        return found

    def revoke(self, id_: str) -> ApiKeyRecord:
        """Mark a key as revoked; its record stays. Raises InstrumentCacheError if there is no such key."""
        (record,) = self.get([id_])
        if record is None:
            raise InstrumentCacheError(f"there is no API key {id_!r}; `icache apikey list` shows all")
        if record.revoked_at is None:
            record = msgspec.structs.replace(record, revoked_at=int(time.time()))
            self._do("set", PREFIX + id_, msgspec.json.encode(record))
        return record

    def all(self) -> Iterator[tuple[str, ApiKeyRecord]]:
        """Every key that can be read, by id."""
        ids = sorted({name.decode().removeprefix(PREFIX) for name in self._scan()})
        yield from ((id_, record) for id_, record in zip(ids, self.get(ids), strict=True) if record is not None)

    def _scan(self) -> list[bytes]:
        try:
            return list(self._client.scan_iter(match=f"{PREFIX}*", count=1000))
        except RedisError as error:
            raise StoreUnavailable(f"Redis did not list the API keys: {error}") from error

    def _do(self, command: str, *arguments: Any, **options: Any) -> Any:
        try:
            return getattr(self._client, command)(*arguments, **options)
        except RedisError as error:
            raise StoreUnavailable(f"Redis did not answer {command.upper()} for API keys: {error}") from error


def _record(stored: bytes | None) -> ApiKeyRecord | None:
    try:
        return None if stored is None else _decode(stored)
    except msgspec.DecodeError:
        return None
