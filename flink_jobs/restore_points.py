"""Where the job can be restored from: savepoints and retained checkpoints, newest first.

Never from the consumer group's offsets: they lag behind what was applied.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

_FOLDERS = ("savepoints/", "checkpoints/")


@dataclass(frozen=True, order=True)
class RestorePoint:
    """A complete state. Ordered by the time at which its metadata was written, which is written last."""

    completed_at: datetime
    path: str


def restore_points(client: S3Client, bucket: str) -> list[RestorePoint]:
    """Every complete savepoint and checkpoint in the bucket, newest first."""
    found = []
    for folder in _FOLDERS:
        for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=folder):
            for item in page.get("Contents", ()):
                if item["Key"].endswith("/_metadata"):
                    path = f"s3://{bucket}/{item['Key'].removesuffix('/_metadata')}"
                    found.append(RestorePoint(item["LastModified"], path))
    return sorted(found, reverse=True)
