"""Redis's own snapshot beside a backup, taken over the replication protocol."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
import redis

from instrument_cache.backup.service import Backups
from instrument_cache.backup.snapshot import take_snapshot
from instrument_cache.errors import ScratchUnavailable, StoreUnavailable
from instrument_cache.scratch.redis import scratch_redis
from instrument_cache.settings import Environment
from tests.integration.backup.filling import fill, good_backup


@pytest.fixture
def quick(cache: redis.Redis) -> Iterator[redis.Redis]:
    """A Redis that does not wait for more replicas."""
    cache.config_set("repl-diskless-sync-delay", 0)
    yield cache
    cache.config_set("repl-diskless-sync", "yes")


@pytest.mark.parametrize("diskless", ["yes", "no"])
def test_a_plain_redis_starts_from_it(quick: redis.Redis, diskless: str, tmp_path: Path) -> None:
    quick.config_set("repl-diskless-sync", diskless)
    expected = fill(quick, 3000)
    quick.set("large", b"x" * 1_000_003)
    taken = take_snapshot(quick, tmp_path / "redis.rdb")
    assert taken.bytes == (tmp_path / "redis.rdb").stat().st_size
    with scratch_redis(rdb=tmp_path / "redis.rdb") as plain:
        client = plain.client()
        assert client.dbsize() == quick.dbsize()
        assert dict(zip(expected, client.mget(list(expected)), strict=True)) == expected


def test_a_backup_has_it_beside_and_proves_it(env: Environment, quick: redis.Redis, moment: datetime) -> None:
    fill(quick, 500)
    backups = Backups(Environment({**env.variables, "ICACHE_BACKUP_RDB": "true"}))
    exported = good_backup(backups, "run", moment)
    manifest = backups.catalog.named(exported.name)
    assert manifest.snapshot is not None
    assert backups.verify(exported.name).snapshot_keys >= exported.entries
    assert all(region.objects.size(manifest.snapshot.key) == manifest.snapshot.bytes for region in backups.regions)


def test_it_never_carries_off_keys_of_others(env: Environment, quick: redis.Redis, moment: datetime) -> None:
    fill(quick, 50)
    quick.set("issuer:1", b"theirs")
    backups = Backups(Environment({**env.variables, "ICACHE_BACKUP_RDB": "true"}))
    good_backup(backups, "run", moment)
    assert backups.catalog.newest_good().snapshot is None


def test_says_why_there_is_none(quick: redis.Redis, tmp_path: Path) -> None:
    quick.acl_setuser("reader", enabled=True, nopass=True, categories=["+@all"], commands=["-sync"], keys=["*"])
    options = quick.connection_pool.connection_kwargs
    reader = redis.Redis(host=options["host"], port=options["port"], username="reader", password="x")
    with pytest.raises(StoreUnavailable, match="may this user call SYNC"):
        take_snapshot(reader, tmp_path / "redis.rdb")
    quick.acl_deluser("reader")
    fill(quick, 10)
    with pytest.raises(ScratchUnavailable, match="No space left"):
        take_snapshot(quick, Path("/dev/full"))
