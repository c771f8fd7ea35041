"""Keeps the wanted state in S3 as a log of numbered objects, each written once: the newest one counts.

Two launchers that both saw number 7 cannot both write number 8. So a launcher that was overtaken (its lock expired
while it slept) finds out at its next step. S3 and not Redis, because Redis may lose an
acknowledged write in a failover.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final

import msgspec
from botocore.exceptions import BotoCoreError, ClientError

from flink_jobs.launch.wanted import Wanted
from instrument_cache.errors import Unavailable
from instrument_cache.objects import ObjectStore

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

_KEPT: Final = 100


class Overtaken(Unavailable):
    """Another launcher has changed the wanted state since it was read."""


class WantedLog:
    """The log of one dataset. Every method raises ObjectStoreUnavailable if S3 does not answer."""

    def __init__(self, objects: ObjectStore, dataset: str, client: S3Client, bucket: str) -> None:
        self._objects = objects
        self._dataset = dataset
        self._folder = f"wanted/{dataset}/"
        self._client, self._bucket = client, bucket
        self._number = 0

    def read(self) -> Wanted | None:
        """The newest state, or None before the first launch."""
        keys = list(self._objects.keys(self._folder))
        if not keys:
            return None
        self._number = int(keys[-1].removeprefix(self._folder).removesuffix(".json"))
        return msgspec.json.decode(self._objects.get(keys[-1]), type=Wanted)

    def write(self, wanted: Wanted) -> None:
        """Follow what was last read or written here. Raises Overtaken if another launcher did."""
        key, body = self._key(self._number + 1), msgspec.json.encode(wanted)
        # An answer that got lost makes an own write look like another's.
        if not self._objects.put_once(key, body) and self._objects.get(key) != body:
            raise Overtaken(f"another launcher of {self._dataset} has taken over; it sees to the job")
        self._number += 1
        if self._number > _KEPT:
            self._forget(self._key(self._number - _KEPT))

    def _forget(self, key: str) -> None:
        with suppress(BotoCoreError, ClientError):  # one more old object does no harm
            self._client.delete_object(Bucket=self._bucket, Key=key)

    def _key(self, number: int) -> str:
        return f"{self._folder}{number:010d}.json"
