"""Objects in one S3 bucket that are written once and never changed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from instrument_cache.connections import s3_client
from instrument_cache.errors import ObjectMissing, ObjectStoreUnavailable
from instrument_cache.settings import Environment, S3Settings

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

_THERE: Final = "PreconditionFailed"
# Two writers of one name at the same moment: the server asks one of them to come again.
_AT_ONCE: Final = "ConditionalRequestConflict"
_TRIES: Final = 5
_MISSING: Final = frozenset({"NoSuchKey", "404"})
_LOCKED: Final = "object lock"
_NO_LOCK: Final = "NoSuchObjectLockConfiguration"


@dataclass(frozen=True, slots=True)
class ObjectLock:
    """Nobody deletes the object before `until`; in the mode COMPLIANCE not even who may lift a GOVERNANCE lock."""

    mode: str
    until: datetime


class ObjectStore:
    """One bucket. Every method raises ObjectStoreUnavailable if S3 does not answer or refuses."""

    def __init__(self, settings: S3Settings, client: S3Client | None = None) -> None:
        self._settings = settings
        self._client: Any = client or s3_client(settings)

    def put_once(
        self,
        key: str,
        body: bytes,
        metadata: Mapping[str, str] | None = None,
        lock: ObjectLock | None = None,
        content_type: str = "",
    ) -> bool:
        """Write an object unless one of that name is there; False if there is one, which stays as it is.

        An answer that got lost on the way makes an own write look like another's, so compare what is there.
        """
        extra = {"Metadata": dict(metadata or {}), **_lock_arguments(lock)}
        if content_type:  # for what a browser opens
            extra["ContentType"] = content_type
        for _ in range(_TRIES):
            with self._errors(f"took no object {key!r}"):
                try:
                    self._client.put_object(Bucket=self._settings.bucket, Key=key, Body=body, IfNoneMatch="*", **extra)
                    return True
                except ClientError as error:
                    if error.response["Error"]["Code"] == _THERE:
                        return False
                    if error.response["Error"]["Code"] != _AT_ONCE:
                        raise
        raise ObjectStoreUnavailable(f"S3 refused the object {key!r} {_TRIES} times: others write it; try again later")

    def get(self, key: str) -> bytes:
        """The whole object."""
        with self._errors(f"gave no object {key!r}"):
            body: bytes = self._client.get_object(Bucket=self._settings.bucket, Key=key)["Body"].read()
            return body

    def link(self, key: str, valid_s: int) -> str:
        """An address at which a browser may read the object, without a key of its own, for so long."""
        with self._errors(f"gave no link to {key!r}"):
            found: str = self._client.generate_presigned_url(
                "get_object", Params={"Bucket": self._settings.bucket, "Key": key}, ExpiresIn=valid_s
            )
            return found

    def make_bucket(self, object_lock: bool = False) -> None:
        """Make the bucket if it is not there."""
        with self._errors("made no bucket"):
            if self._settings.bucket not in {bucket["Name"] for bucket in self._client.list_buckets()["Buckets"]}:
                self._client.create_bucket(Bucket=self._settings.bucket, ObjectLockEnabledForBucket=object_lock)

    def put_file(self, key: str, path: Path, lock: ObjectLock | None = None) -> None:
        """Write a file of any size, in parts; it is there whole or not at all."""
        from boto3.exceptions import S3UploadFailedError

        with self._errors(f"took no object {key!r}"):
            try:
                self._client.upload_file(str(path), self._settings.bucket, key, ExtraArgs=_lock_arguments(lock))
            except S3UploadFailedError as error:
                raise ObjectStoreUnavailable(f"S3 ({self.place}) took no object {key!r}: {error}") from error

    def get_file(self, key: str, path: Path) -> None:
        """Read an object of any size into a file."""
        with self._errors(f"gave no object {key!r}"):
            self._client.download_file(self._settings.bucket, key, str(path))

    def size(self, key: str) -> int | None:
        """Its length in bytes; None if there is no such object."""
        try:
            with self._errors(f"gave no length of {key!r}"):
                found: int = self._client.head_object(Bucket=self._settings.bucket, Key=key)["ContentLength"]
                return found
        except ObjectMissing:
            return None

    def put_over(self, key: str, body: bytes, lock: ObjectLock | None = None) -> None:
        """Write an object in the place of one that is damaged; the bucket's versions keep that one."""
        with self._errors(f"took no object {key!r}"):
            self._client.put_object(Bucket=self._settings.bucket, Key=key, Body=body, **_lock_arguments(lock))

    def locked_until(self, key: str) -> datetime | None:
        """Until when nobody deletes it; None without a lock."""
        with self._errors(f"told no lock of {key!r}"):
            try:
                found = self._client.get_object_retention(Bucket=self._settings.bucket, Key=key)["Retention"]
            except ClientError as error:
                if error.response["Error"]["Code"] == _NO_LOCK:
                    return None
                raise
            until: datetime = found["RetainUntilDate"]
            return until

    def lock(self, key: str, lock: ObjectLock) -> None:
        """Lengthen the lock of an object, or lock it. The server refuses to shorten one."""
        retention = {"Mode": lock.mode, "RetainUntilDate": lock.until}
        with self._errors(f"did not lock {key!r}"):
            self._client.put_object_retention(Bucket=self._settings.bucket, Key=key, Retention=retention)

    def written(self, prefix: str, after: str = "") -> Iterator[tuple[str, datetime]]:
        """The names that begin with `prefix`, in order, and when each was written last; only those behind `after`."""
        with self._errors(f"listed no objects under {prefix!r}"):
            pages = self._client.get_paginator("list_objects_v2")
            for page in pages.paginate(Bucket=self._settings.bucket, Prefix=prefix, StartAfter=after):
                for entry in page.get("Contents", ()):
                    yield entry["Key"], entry["LastModified"]

    def erase(self, prefix: str) -> int:
        """Delete every version of all objects that begin with `prefix`; returns how many a lock kept."""
        kept = 0
        with self._errors(f"did not delete {prefix!r}"):
            pages = self._client.get_paginator("list_object_versions")
            for page in pages.paginate(Bucket=self._settings.bucket, Prefix=prefix):
                for version in (*page.get("Versions", ()), *page.get("DeleteMarkers", ())):
                    kept += not self._erase(version["Key"], version["VersionId"])
        return kept

    def _erase(self, key: str, version: str) -> bool:
        try:
            self._client.delete_object(Bucket=self._settings.bucket, Key=key, VersionId=version)
        except ClientError as error:
            if _LOCKED not in error.response["Error"].get("Message", "").lower():
                raise  # it lacks the permission
            return False
        return True

    def metadata(self, key: str) -> dict[str, str]:
        """What was given to `put_once` beside the body."""
        with self._errors(f"gave no metadata of {key!r}"):
            found: dict[str, str] = self._client.head_object(Bucket=self._settings.bucket, Key=key)["Metadata"]
            return found

    def keys(self, prefix: str, after: str = "") -> Iterator[str]:
        """The names that begin with `prefix`, in order; only those behind `after`."""
        return (key for key, _ in self.written(prefix, after))

    @contextmanager
    def _errors(self, what: str) -> Iterator[None]:
        try:
            yield
        except (BotoCoreError, ClientError) as error:
            missing = isinstance(error, ClientError) and error.response["Error"]["Code"] in _MISSING
            kind = ObjectMissing if missing else ObjectStoreUnavailable
            raise kind(f"S3 ({self.place}) {what}: {error}") from error

    @property
    def env(self) -> Environment | None:
        """The settings of the deployment that this bucket belongs to; None for a bucket that stands for itself."""
        return self._settings.env

    @property
    def place(self) -> str:
        """Which server and bucket, for people."""
        return f"{self._settings.endpoint}, bucket {self._settings.bucket!r}"


def _lock_arguments(lock: ObjectLock | None) -> dict[str, Any]:
    return {"ObjectLockMode": lock.mode, "ObjectLockRetainUntilDate": lock.until} if lock else {}
