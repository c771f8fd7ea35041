"""Real Redis and two S3 servers for all tests of this folder; each test has an empty Redis and buckets of its own."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
import redis

from instrument_cache.backup.region import ensure_backup_buckets
from instrument_cache.backup.service import Backups
from instrument_cache.connections import redis_client
from instrument_cache.settings import Environment, redis_url
from local_stack.instance import Instance
from tests.servers import stack_parts


@pytest.fixture(scope="package")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    with stack_parts(tmp_path_factory.mktemp("parts"), "redis", "s3", "s3-second") as made:
        yield made


@pytest.fixture
def env(instance: Instance) -> Environment:
    """The instance's settings, with a bucket of the test's own and no lock, and without Redis's snapshot (5 s)."""
    own = {
        "ICACHE_BACKUP_BUCKET": f"backup-{uuid.uuid4().hex[:8]}",
        "ICACHE_BACKUP_LOCK_HOURS": "0",
        "ICACHE_BACKUP_RDB": "false",
    }
    found = Environment({**instance.settings(), **own})
    redis_client(redis_url(found), name="test").flushall()
    ensure_backup_buckets(found)
    return found


@pytest.fixture
def backups(env: Environment) -> Backups:
    return Backups(env)


@pytest.fixture
def cache(backups: Backups) -> redis.Redis:
    return backups.client


@pytest.fixture
def moment() -> datetime:
    return datetime.now(UTC)
