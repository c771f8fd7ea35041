"""Where a run of the job can be restored from: savepoints and retained checkpoints, newest first.

Never from the consumer group's offsets: they lag behind what was applied. Each generation of a dataset has folders of
its own, so that no dataset and no failed release lends its state to another.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from instrument_cache.errors import ObjectStoreUnavailable

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

_METADATA: Final = "/_metadata"
# Before there were generations, every job of the bucket wrote here.
_OLD: Final = re.compile(r"(savepoints/savepoint-[^/]+|checkpoints/[0-9a-f]{32}/chk-\d+)/_metadata")
_OLD_TRIES: Final = 20


@dataclass(frozen=True, order=True)
class RestorePoint:
    """A complete state. Ordered by the time at which its metadata was written, which is written last."""

    completed_at: datetime
    path: str


class RestorePoints:
    """The restore points of one dataset. Every method raises ObjectStoreUnavailable if S3 does not answer."""

    def __init__(self, client: S3Client, bucket: str, dataset: str) -> None:
        self._client = client
        self._bucket = bucket
        self._dataset = dataset

    def checkpoint_folder(self, generation: int) -> str:
        """Where the jobs of a generation put their checkpoints, each job in a folder of its own."""
        return f"s3://{self._bucket}/checkpoints/{self._dataset}/{generation}"

    def savepoint_folder(self, generation: int) -> str:
        return f"s3://{self._bucket}/savepoints/{self._dataset}/{generation}"

    def of(self, generation: int) -> list[RestorePoint]:
        """Every complete savepoint and checkpoint of a generation, newest first."""
        folders = (self.savepoint_folder(generation), self.checkpoint_folder(generation))
        keys = (f"{folder.removeprefix(f's3://{self._bucket}/')}/" for folder in folders)
        found = (self._point(item) for key in keys for item in self._metadata_below(key))
        return sorted(found, reverse=True)

    def newest_without_generation(self) -> RestorePoint | None:
        """The dataset's newest state from the time when all datasets of a bucket shared two folders.

        Whose it is stands in its metadata: the source's state names the topic.
        """
        below = (item for folder in ("savepoints/", "checkpoints/") for item in self._metadata_below(folder))
        old = sorted((item for item in below if _OLD.fullmatch(item["Key"])), key=lambda item: item["LastModified"])
        for item in reversed(old[-_OLD_TRIES:]):
            if _java_text(self._dataset) in self._content(item["Key"]):
                return self._point(item)
        return None

    def has_checkpoints(self, generation: int, job_id: str) -> bool:
        """True if the job was there long enough to complete a checkpoint."""
        folder = f"{self.checkpoint_folder(generation)}/{job_id}/".removeprefix(f"s3://{self._bucket}/")
        return any(True for _ in self._metadata_below(folder))

    def _metadata_below(self, folder: str) -> Iterator[Any]:
        try:
            for page in self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=folder):
                yield from (item for item in page.get("Contents", ()) if item["Key"].endswith(_METADATA))
        except (BotoCoreError, ClientError) as error:
            raise ObjectStoreUnavailable(f"S3 does not list {folder} in bucket {self._bucket}: {error}") from error

    def _content(self, key: str) -> bytes:
        try:
            return self._client.get_object(Bucket=self._bucket, Key=key)["Body"].read()
        except (BotoCoreError, ClientError) as error:
            raise ObjectStoreUnavailable(f"S3 does not give {key} in bucket {self._bucket}: {error}") from error

    def _point(self, item: Any) -> RestorePoint:
        return RestorePoint(item["LastModified"], f"s3://{self._bucket}/{item['Key'].removesuffix(_METADATA)}")


def _java_text(text: str) -> bytes:
    """As Java's `writeUTF` frames it: so `issuers` is not found in `issuers-old`."""
    encoded = text.encode()
    return len(encoded).to_bytes(2, "big") + encoded
