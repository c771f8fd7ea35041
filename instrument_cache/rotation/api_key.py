"""The API key of one client of the lookup service: a second key beside the first, until nobody comes with the first.

The lookup service reads a key's record while somebody comes with it, and only then: so Redis knows for how long nobody
did.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import msgspec

from instrument_cache.api_keys import ApiKey, ApiKeyRecord, KeyStore, matches, new_key, parse
from instrument_cache.doctor.text import duration
from instrument_cache.errors import RotationError


class ApiKeyIssuer:
    """Implements `Issuer`. The old key goes when nobody came with it for `quiet_s`, at the earliest `quiet_s` after the
    switch. A new key has the rights of the old one, and lives as long as that was to live."""

    def __init__(self, store: KeyStore, quiet_s: float, wall: Callable[[], float] = time.time) -> None:
        self._store, self.grace_s, self._wall = store, quiet_s, wall
        self.known_s = 0.0

    def new(self, old: str) -> str:
        return new_key()

    def accepts(self, secret: str) -> bool:
        key = _parsed(secret)
        record = self._record(key)
        return record is not None and matches(record, key.secret) and record.refusal(self._wall()) is None

    def add(self, secret: str, like: str) -> None:
        """Raises RotationError if there is no key to take the rights from."""
        if self.accepts(secret):
            return
        record = self._record(_parsed(like))
        if record is None:
            raise RotationError("the API key whose rights the new one is to have is gone; create one by hand")
        now = int(self._wall())
        expires_at = None if record.expires_at is None else now + record.expires_at - record.created_at
        self._store.admit(secret, msgspec.structs.replace(record, created_at=now, expires_at=expires_at))

    def remove(self, secret: str) -> None:
        key = _parsed(secret)
        if self._record(key) is not None:
            self._store.revoke(key.id)

    def users(self, secret: str, since_s: float) -> str:
        """Whether somebody came with it a moment ago."""
        key = _parsed(secret)
        idle_s = self._store.idle_s(key.id)  # to read the record would end the quiet
        if idle_s is None or idle_s >= self.grace_s:
            return ""
        return f"the key {key.id} was sent {duration(idle_s)} ago; its client must read the new one"

    def refused(self, secret: str, since_s: float) -> str:
        """Not told: that nobody came for so long was the proof."""
        return ""

    def _record(self, key: ApiKey) -> ApiKeyRecord | None:
        (record,) = self._store.get([key.id])
        return record


def _parsed(text: str) -> ApiKey:
    key = parse(text)
    if key is None:
        raise RotationError("the slot holds no API key of the form icache_ID_SECRET")
    return key
