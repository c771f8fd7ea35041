"""Caches to back up, and backups made as the DAG makes them."""

from __future__ import annotations

import time
from datetime import datetime
from typing import Any

import redis

from instrument_cache.backup.export import Exported
from instrument_cache.backup.service import Backups
from instrument_cache.change import stored_tombstone, stored_value
from instrument_cache.store.redis import RedisStore

VERSION = 1_763_674_000_000_000
HOUR_MS = 3_600_000


def value(number: int, version: int = VERSION) -> bytes:
    return stored_value(version + number, b'{"cusip":"%09d","pme":"P%d","name":"Bond %d"}' % (number, number, number))


def fill(client: redis.Redis, count: int, dataset: str = "instruments") -> dict[str, bytes]:
    """`count` instruments with their aliases, and one tombstone for each ten; returns what is there."""
    values: dict[str, bytes] = {}
    expires: dict[str, int] = {}
    for number in range(count):
        values[f"instr:{number:09d}"] = value(number)
        values[f"pme:P{number}"] = b'{"v":%d,"cusip":"%09d"}' % (VERSION + number, number)
    for number in range(count, count + count // 10):
        values[f"instr:{number:09d}"] = stored_tombstone(VERSION + number, VERSION + number)
        expires[f"instr:{number:09d}"] = time.time_ns() // 1_000_000 + HOUR_MS
    RedisStore(client, dataset).offer(values, expires)
    settle(client, dataset, 0, 100 + count)
    return values


def settle(client: redis.Redis, dataset: str, partition: int, next_offset: int) -> None:
    """Account for offsets as the stream does, so that there is a position to go on from."""
    fields: Any = {"start": 0, "next": next_offset, "applied": next_offset}
    client.hset(f"account:{dataset}:{partition}", mapping=fields)
    client.sadd(f"account:{dataset}:partitions", partition)


def good_backup(backups: Backups, run_id: str, moment: datetime) -> Exported:
    """Exported, verified and marked."""
    exported = backups.export(run_id, moment)
    assert backups.mark_good(backups.verify(exported.name))
    return exported
