"""What is known of each operation's trouble, in Redis, so that it is told once, and its end is told too.

alert:{dataset}:incident:{operation}     since when it is in trouble, how often, who was told and when
alert:{dataset}:green                    operation → when it was green last (µs since 1970)
"""

from __future__ import annotations

from typing import Any

import msgspec
import redis
from redis.exceptions import RedisError

from instrument_cache.errors import StoreUnavailable


class Incident(msgspec.Struct):
    """Times in µs since 1970. `told` is receiver → when it took the newest message of the trouble."""

    since_us: int
    times: int = 0
    sentence: str = ""
    told: dict[str, int] = msgspec.field(default_factory=dict)


class Incidents:
    """The incidents of one dataset. Methods raise StoreUnavailable."""

    def __init__(self, client: redis.Redis, dataset: str) -> None:
        self._client: Any = client
        self._dataset = dataset

    def open(self, operation: str) -> Incident | None:
        """The trouble that an operation is in, or None."""
        held = self._ask(lambda: self._client.get(self._key(operation)))
        try:
            return msgspec.json.decode(held, type=Incident) if held else None
        except msgspec.DecodeError:
            return None  # of another version of this program: told anew

    def keep(self, operation: str, incident: Incident) -> None:
        self._ask(lambda: self._client.set(self._key(operation), msgspec.json.encode(incident)))

    def close(self, operation: str) -> None:
        self._ask(lambda: self._client.delete(self._key(operation)))

    def note_green(self, operation: str, now_us: int) -> None:
        """An operation was green just now."""
        self._ask(lambda: self._client.hset(self._green, operation, now_us))

    def begin_to_watch(self, operation: str, now_us: int) -> None:
        """From now on it must become green; what is known stays."""
        self._ask(lambda: self._client.hsetnx(self._green, operation, now_us))

    def green_at_us(self) -> dict[str, int]:
        """Operation → when it was green last, or when it was watched first."""
        held = self._ask(lambda: self._client.hgetall(self._green))
        return {name.decode(): int(moment) for name, moment in held.items()}

    @property
    def _green(self) -> str:
        return f"alert:{self._dataset}:green"

    def _key(self, operation: str) -> str:
        return f"alert:{self._dataset}:incident:{operation}"

    def _ask(self, question: Any) -> Any:
        try:
            return question()
        except RedisError as error:
            raise StoreUnavailable(f"Redis does not know of alerts: {error}") from error
