"""The trail on real S3 and on its twin in memory."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from instrument_cache.objects import ObjectStore
from instrument_cache.objects_memory import MemoryObjects
from instrument_cache.settings import S3Settings
from local_stack.instance import Instance
from tests.contract.audit.scene import Scene
from tests.servers import free_port_offset, stack_component


@pytest.fixture(scope="package")
def buckets(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ObjectStore, ObjectStore, ObjectStore]]:
    home, offset = tmp_path_factory.mktemp("s3"), free_port_offset()
    with stack_component("s3", home, offset):
        server = Instance(home, Instance.from_environment().tools, offset)
        keys = server.secret("s3_access_key"), server.secret("s3_secret_key")
        made = [
            ObjectStore(S3Settings(server.url("s3"), *keys, bucket, "us-east-1"))
            for bucket in ("trail-first", "trail-second", "reports")
        ]
        for bucket, is_locked in zip(made, (True, True, False), strict=True):
            bucket.make_bucket(object_lock=is_locked)
        yield made[0], made[1], made[2]


@pytest.fixture(params=["memory", "s3"])
def scene(request: pytest.FixtureRequest) -> Scene:
    """An empty trail."""
    dataset = f"set{uuid.uuid4().hex[:8]}"
    if request.param == "memory":
        return Scene(MemoryObjects("first"), MemoryObjects("second"), MemoryObjects("reports"), dataset)
    return Scene(*request.getfixturevalue("buckets"), dataset)
