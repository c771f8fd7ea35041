"""One suite for the object store and its twin in memory."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from instrument_cache.errors import ObjectMissing
from instrument_cache.objects import ObjectLock, ObjectStore
from instrument_cache.objects_memory import MemoryObjects
from instrument_cache.settings import S3Settings
from local_stack.instance import Instance
from tests.servers import free_port_offset, stack_component


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    home, offset = tmp_path_factory.mktemp("s3"), free_port_offset()
    with stack_component("s3", home, offset):
        yield Instance(home, Instance.from_environment().tools, offset)


@pytest.fixture(params=["memory", "s3"])
def objects(request: pytest.FixtureRequest) -> ObjectStore:
    """An empty store with Object Lock."""
    if request.param == "memory":
        return MemoryObjects()
    server: Instance = request.getfixturevalue("server")
    keys = server.secret("s3_access_key"), server.secret("s3_secret_key")
    store = ObjectStore(S3Settings(server.url("s3"), *keys, f"bucket-{uuid.uuid4().hex[:8]}", "us-east-1"))
    store.make_bucket(object_lock=True)
    return store


def lock(hours: float = 1) -> ObjectLock:
    return ObjectLock("GOVERNANCE", datetime.now(UTC) + timedelta(hours=hours))


def test_the_first_writer_of_a_name_wins(objects: ObjectStore) -> None:
    assert objects.put_once("a/1", b"first", {"next": "7"})
    assert not objects.put_once("a/1", b"second")
    assert (objects.get("a/1"), objects.metadata("a/1"), objects.size("a/1")) == (b"first", {"next": "7"}, 5)


def test_what_is_damaged_is_written_over(objects: ObjectStore) -> None:
    objects.put_once("a/1", b"damaged", lock=lock())
    objects.put_over("a/1", b"right", lock())
    assert objects.get("a/1") == b"right"


def test_lists_by_prefix_in_order(objects: ObjectStore) -> None:
    for key in ("b/2", "a/2", "b/1", "b2"):
        objects.put_once(key, b"x")
    assert list(objects.keys("b/")) == ["b/1", "b/2"]
    assert list(objects.keys("b/", after="b/1")) == ["b/2"]


def test_a_file_of_several_parts(objects: ObjectStore, tmp_path: Path) -> None:
    body = bytes(range(256)) * 80_000
    (tmp_path / "in").write_bytes(body)
    objects.put_file("large", tmp_path / "in", lock())
    objects.get_file("large", tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == body
    assert objects.size("large") == len(body)


def test_what_is_missing_is_not_away(objects: ObjectStore, tmp_path: Path) -> None:
    assert objects.size("none") is None
    with pytest.raises(ObjectMissing):
        objects.get("none")
    with pytest.raises(ObjectMissing):
        objects.get_file("none", tmp_path / "out")


def test_erases_what_no_lock_keeps(objects: ObjectStore) -> None:
    objects.put_once("a/free", b"x")
    objects.put_once("a/locked", b"x", lock=lock())
    objects.put_once("b/free", b"x")
    assert objects.erase("a/") == 1
    assert (objects.size("a/free"), objects.get("a/locked"), objects.get("b/free")) == (None, b"x", b"x")
    assert objects.erase("b/") == 0
    assert list(objects.keys("")) == ["a/locked"]


def test_a_lock_is_told_and_lengthened(objects: ObjectStore) -> None:
    objects.put_once("a/1", b"x")
    assert objects.locked_until("a/1") is None
    for hours in (1, 5):
        longer = lock(hours)
        objects.lock("a/1", longer)
        told = objects.locked_until("a/1")
        assert told is not None
        assert abs(told - longer.until) < timedelta(seconds=1)
    assert objects.erase("a/") == 1


def test_tells_when_each_object_was_written(objects: ObjectStore) -> None:
    before = datetime.now(UTC) - timedelta(seconds=2)
    for key in ("a/2", "a/1", "b/1"):
        objects.put_once(key, b"x")
    found = list(objects.written("a/"))
    assert [key for key, _ in found] == ["a/1", "a/2"]
    assert all(before <= written <= datetime.now(UTC) + timedelta(seconds=1) for _, written in found)
