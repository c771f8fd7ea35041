"""API keys: checked against Redis once, then remembered, and looked at again in the background."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Collection, Sequence
from itertools import islice
from typing import Final, Protocol

import structlog

from instrument_cache.api_keys import ALL, ApiKey, ApiKeyRecord, matches, parse
from instrument_cache.errors import StoreUnavailable
from lookup_app.problems import Problem, ProblemType
from lookup_app.protection.identity import Identity, Remembered, keys_unavailable, unauthenticated
from lookup_app.protection.settings import ApiKeySettings

logger = structlog.get_logger()
# After a read that failed, for so long nobody waits for Redis again.
PAUSE_S: Final = 1.0
# All known keys are laid aside after so many of the times within which a revoked one is refused, to see which are used.
ASIDE_TTLS: Final = 4


class Records(Protocol):
    """What `ApiKeys` needs of a `KeyStore`."""

    def get(self, ids: Sequence[str]) -> list[ApiKeyRecord | None]: ...


class ApiKeys:
    """A `Scheme` for the header `X-API-Key`. `known` are the keys that were checked and still hold.

    Known keys are read again and again, and from time to time laid aside until they come once more. So Redis's
    `OBJECT IDLETIME` of a key tells for how long nobody has come with it, and a rotation knows when the old one may go.

    Times in seconds: `monotonic` for ages, `wall` (since 1970) for the expiry of keys.
    """

    def __init__(
        self,
        settings: ApiKeySettings,
        datasets: Collection[str],
        store: Records,
        schemes: tuple[str, ...] = ("ApiKey",),
        monotonic: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.known = Remembered(settings.keys_max)
        self._settings, self._datasets, self._store = settings, frozenset(datasets), store
        self._schemes, self._monotonic, self._wall = schemes, monotonic, wall
        self._closed_until_s = -math.inf
        self._is_away = False
        self._aside: dict[str, tuple[Identity, float]] = {}  # and when each was checked
        self._aside_at_s = monotonic()
        self._ended = threading.Event()

    def start(self) -> None:
        """Look at the known keys again and again, so often that a revoked one is refused within the set time."""
        threading.Thread(target=self._run, name="api-keys", daemon=True).start()

    def close(self) -> None:
        """Look no more."""
        self._ended.set()

    def identify(self, credential: str, now_s: float) -> Identity:
        """Check a key. Raises Problem `unauthenticated` or `keys-unavailable`."""
        key = parse(credential)
        if key is None:
            raise self._refused("it is not of the form icache_ID_SECRET")
        identity = self._laid_aside(credential, now_s, self._settings.ttl_s / 2)
        if identity is None:
            identity = self._asked_for(credential, key, now_s)
        self.known.remember(credential, identity)
        return identity

    def _asked_for(self, credential: str, key: ApiKey, now_s: float) -> Identity:
        """As Redis says, or, while it is away, as it said when the key was laid aside."""
        try:
            return self._checked(key, self._read(key, now_s), now_s)
        except Problem as problem:
            if problem.kind is not ProblemType.KEYS_UNAVAILABLE:
                self._aside.pop(credential, None)
                raise
            if (identity := self._laid_aside(credential, now_s, self._settings.age_s_max)) is None:
                raise
            return identity

    def refresh(self) -> None:
        """Look at every known key once more. While Redis is away they hold on, up to their set age."""
        known = list(self.known)
        keys = [key for key in map(parse, known) if key is not None]
        now_s = self._monotonic()
        try:
            records = self._store.get([key.id for key in keys])
        except StoreUnavailable as error:
            if not self._is_away:  # once, not each time until Redis is back
                logger.warning("api_keys_unavailable", known=len(known), error=str(error)[:200])
            self._is_away = True
            return
        self._is_away = False
        for credential, key, record in zip(known, keys, records, strict=True):
            if self._refusal(key, record) is None and record is not None:
                self.known.renew(credential, self._identity(record, now_s))
            else:
                self.known.forget(credential)
        if now_s - self._aside_at_s >= ASIDE_TTLS * self._settings.ttl_s:
            self._lay_aside(now_s)

    def _lay_aside(self, now_s: float) -> None:
        """Forget the known keys, but as far as they are needed while Redis is away."""
        kept = {text: held for text, held in self._aside.items() if held[0].until_s > now_s and text not in self.known}
        new = {text: (identity, now_s) for text, identity in list(self.known.items())}
        self._aside = {**new, **dict(islice(kept.items(), max(self._settings.keys_max - len(new), 0)))}
        self._aside_at_s = now_s
        self.known.forget_all()

    def _laid_aside(self, credential: str, now_s: float, age_s: float) -> Identity | None:
        """A key that was checked not longer ago than that, if it still holds."""
        identity, checked_at_s = self._aside.get(credential, (None, -math.inf))
        holds = identity is not None and identity.until_s > now_s and now_s - checked_at_s < age_s
        return identity if holds else None

    def _run(self) -> None:
        while not self._ended.wait(self._settings.ttl_s / 2):
            if self.known:
                self.refresh()

    def _read(self, key: ApiKey, now_s: float) -> ApiKeyRecord | None:
        if now_s < self._closed_until_s:
            raise keys_unavailable("API keys cannot be read.")
        if self._closed_until_s > -math.inf:  # this one tries whether Redis is back; the others need not wait with it
            self._closed_until_s = now_s + PAUSE_S
        try:
            (record,) = self._store.get([key.id])
        except StoreUnavailable:
            self._closed_until_s = self._monotonic() + PAUSE_S
            raise keys_unavailable("API keys cannot be read.") from None
        self._closed_until_s = -math.inf
        return record

    def _checked(self, key: ApiKey, record: ApiKeyRecord | None, now_s: float) -> Identity:
        refusal = self._refusal(key, record)
        if refusal is not None or record is None:
            raise self._refused(refusal or "it is not known")
        return self._identity(record, now_s)

    def _refusal(self, key: ApiKey, record: ApiKeyRecord | None) -> str | None:
        """Why a key is refused. Who has not got the secret learns nothing about the key."""
        if record is None or not matches(record, key.secret):
            return "it is not known"
        return record.refusal(self._wall())

    def _identity(self, record: ApiKeyRecord, now_s: float) -> Identity:
        datasets = self._datasets if ALL in record.datasets else self._datasets & {*record.datasets}
        until_s = now_s + self._settings.age_s_max
        if record.expires_at is not None:
            until_s = min(until_s, now_s + record.expires_at - self._wall())
        return Identity(f"api-key:{record.client}", datasets, until_s)

    def _refused(self, reason: str) -> Exception:
        return unauthenticated(f"The API key is refused: {reason}.", self._schemes, invalid=True)
