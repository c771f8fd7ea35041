"""The keys of a user of S3, by the IAM API that AWS has and other S3 servers too: a user may have two keys.

The system makes the keys itself. One that goes is made inactive first, so that it can come back; the next rotation
deletes it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from instrument_cache.doctor.text import duration
from instrument_cache.errors import ObjectStoreUnavailable, RotationError
from instrument_cache.keys_file import keys_text, parse_keys


class S3User:
    """Implements `Issuer`. `client` is boto3's for IAM. The slot holds the keys as a file of AWS does."""

    def __init__(self, client: Any, user: str, grace_s: float) -> None:
        self._client, self._user = client, user
        # A new key takes a moment until every S3 server knows it.
        self.known_s = self.grace_s = grace_s

    def new(self, old: str) -> str:
        """Raises RotationError if the user has a second key that is in use."""
        kept = _access_key(old)
        with self._errors("made no new key"):
            for key, status in self._keys().items():
                if key != kept:
                    self._discard(key, status)
            made = self._client.create_access_key(UserName=self._user)["AccessKey"]
            return keys_text(made["AccessKeyId"], made["SecretAccessKey"])

    def accepts(self, secret: str) -> bool:
        with self._errors("listed no keys"):
            return self._keys().get(_access_key(secret)) == "Active"

    def add(self, secret: str, like: str) -> None:
        key = _access_key(secret)
        with self._errors("did not make a key active"):
            status = self._keys().get(key)
            if status is None:
                raise RotationError(f"the key {key} of the user {self._user!r} was deleted, and cannot be made again")
            if status != "Active":
                self._client.update_access_key(UserName=self._user, AccessKeyId=key, Status="Active")

    def remove(self, secret: str) -> None:
        key = _access_key(secret)
        with self._errors("did not make a key inactive"):
            if self._keys().get(key) == "Active":
                self._client.update_access_key(UserName=self._user, AccessKeyId=key, Status="Inactive")

    def users(self, secret: str, since_s: float) -> str:
        key = _access_key(secret)
        with self._errors("told no last use"):
            used_at = self._used_at(key)
        age_s = (datetime.now(UTC) - used_at).total_seconds() if used_at else self.grace_s
        return f"the key {key} was used {duration(max(age_s, 0))} ago" if age_s < self.grace_s else ""

    def refused(self, secret: str, since_s: float) -> str:
        """Not told: that nobody used it for so long was the proof."""
        return ""

    def _discard(self, key: str, status: str) -> None:
        """Delete what an earlier rotation left: a key that is inactive, or one that nobody was ever told."""
        if status == "Active" and self._used_at(key):
            raise RotationError(f"the user {self._user!r} has a second key in use, {key}: make it inactive first")
        self._client.delete_access_key(UserName=self._user, AccessKeyId=key)

    def _used_at(self, key: str) -> datetime | None:
        told = self._client.get_access_key_last_used(AccessKeyId=key)["AccessKeyLastUsed"]
        found: datetime | None = told.get("LastUsedDate")
        return found

    def _keys(self) -> dict[str, str]:
        """Key → Active or Inactive."""
        told = self._client.list_access_keys(UserName=self._user)["AccessKeyMetadata"]
        return {key["AccessKeyId"]: key["Status"] for key in told}

    @contextmanager
    def _errors(self, what: str) -> Iterator[None]:
        try:
            yield
        except (BotoCoreError, ClientError) as error:
            raise ObjectStoreUnavailable(f"IAM {what} of the user {self._user!r}: {error}") from error


def _access_key(secret: str) -> str:
    try:
        return parse_keys(secret)[0]
    except ValueError as error:
        raise RotationError(f"the slot holds no keys of S3: {error}") from None
