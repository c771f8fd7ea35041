"""Whose a restore point is, and which is the newest."""

from __future__ import annotations

import pytest

from flink_jobs.restore_points import RestorePoints
from instrument_cache.connections import s3_client
from instrument_cache.settings import S3Settings

OLD_JOB = "0" * 32


class Bucket:
    """An S3 bucket of its own for a test."""

    def __init__(self, settings: S3Settings, name: str) -> None:
        self.client, self.name = s3_client(settings), name
        self.client.create_bucket(Bucket=name)

    def put(self, key: str, content: bytes = b"") -> str:
        self.client.put_object(Bucket=self.name, Key=key, Body=content)
        return f"s3://{self.name}/{key.removesuffix('/_metadata')}"

    def points(self, dataset: str) -> RestorePoints:
        return RestorePoints(self.client, self.name, dataset)


@pytest.fixture
def bucket(s3: S3Settings, request: pytest.FixtureRequest) -> Bucket:
    return Bucket(s3, f"points-{abs(hash(request.node.name))}")


def topic(name: str) -> bytes:
    return b"\x00\x01state" + len(name).to_bytes(2, "big") + name.encode() + b"\x00\x00"


def test_a_generation_sees_its_own_complete_points_newest_first(bucket: Bucket) -> None:
    first = bucket.put("checkpoints/instruments/3/job/chk-1/_metadata")
    second = bucket.put("savepoints/instruments/3/savepoint-a/_metadata")
    bucket.put("savepoints/instruments/3/savepoint-b/data")  # not complete
    bucket.put("checkpoints/instruments/33/job/chk-9/_metadata")
    bucket.put("checkpoints/issuers/3/job/chk-9/_metadata")
    bucket.put(f"checkpoints/{OLD_JOB}/chk-9/_metadata", topic("instruments"))
    points = bucket.points("instruments")
    paths = {point.path for point in points.of(3)}
    assert paths == {first, second}
    times = [point.completed_at for point in points.of(3)]
    assert times == sorted(times, reverse=True)
    assert points.of(4) == []


def test_an_old_point_belongs_to_the_dataset_whose_topic_it_names(bucket: Bucket) -> None:
    ours = bucket.put("savepoints/savepoint-00-1/_metadata", topic("instruments"))
    theirs = bucket.put(f"checkpoints/{OLD_JOB}/chk-4/_metadata", topic("instruments-old"))
    for dataset, path in {"instruments": ours, "instruments-old": theirs}.items():
        found = bucket.points(dataset).newest_without_generation()
        assert found is not None
        assert found.path == path
    assert bucket.points("issuers").newest_without_generation() is None


def test_a_job_that_completed_a_checkpoint_is_told_from_one_that_never_came(bucket: Bucket) -> None:
    bucket.put("checkpoints/instruments/1/seen/chk-1/_metadata")
    assert bucket.points("instruments").has_checkpoints(1, "seen")
    assert not bucket.points("instruments").has_checkpoints(1, "see")
