"""Objects in one S3 bucket that are written once and never changed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from instrument_cache.connections import s3_client
from instrument_cache.errors import ObjectStoreUnavailable
from instrument_cache.settings import S3Settings

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

_THERE: Final = "PreconditionFailed"
# Two writers of one name at the same moment: the server asks one of them to come again.
_AT_ONCE: Final = "ConditionalRequestConflict"
_TRIES: Final = 5


class ObjectStore:
    """One bucket. Every method raises ObjectStoreUnavailable if S3 does not answer or refuses."""

    def __init__(self, settings: S3Settings, client: S3Client | None = None) -> None:
        self._settings = settings
        self._client: Any = client or s3_client(settings)

    def put_once(self, key: str, body: bytes, metadata: Mapping[str, str] | None = None) -> bool:
        """Write an object unless one of that name is there; False if there is one, which stays as it is.

        An answer that got lost on the way makes an own write look like another's, so compare what is there.
        """
        for _ in range(_TRIES):
            with self._errors(f"took no object {key!r}"):
                try:
                    self._client.put_object(
                        Bucket=self._settings.bucket, Key=key, Body=body, Metadata=dict(metadata or {}), IfNoneMatch="*"
                    )
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

    def metadata(self, key: str) -> dict[str, str]:
        """What was given to `put_once` beside the body."""
        with self._errors(f"gave no metadata of {key!r}"):
            found: dict[str, str] = self._client.head_object(Bucket=self._settings.bucket, Key=key)["Metadata"]
            return found

    def keys(self, prefix: str) -> Iterator[str]:
        """The names that begin with `prefix`, in order."""
        with self._errors(f"listed no objects under {prefix!r}"):
            pages = self._client.get_paginator("list_objects_v2")
            for page in pages.paginate(Bucket=self._settings.bucket, Prefix=prefix):
                for entry in page.get("Contents", ()):
                    yield entry["Key"]

    @contextmanager
    def _errors(self, what: str) -> Iterator[None]:
        try:
            yield
        except (BotoCoreError, ClientError) as error:
            place = f"{self._settings.endpoint}, bucket {self._settings.bucket!r}"
            raise ObjectStoreUnavailable(f"S3 ({place}) {what}: {error}") from error
