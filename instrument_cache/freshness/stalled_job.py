"""The mark on a job that stands still: who watches sets it, who launches replaces the job that bears it.

Only the watch has seen the offsets stand still, and only a launcher may end a job, because it holds the lock that keeps
two launches apart. The mark names the job, so that it cannot hit the one that comes after it.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
import redis
from redis.exceptions import RedisError

from instrument_cache.clock import Clock, SystemClock
from instrument_cache.errors import StoreUnavailable

_KEPT_S: Final = 900


class StalledJob(msgspec.Struct, frozen=True):
    """A Flink job that was seen to stand still at `at_us` (µs since 1970), and the sentence that says so."""

    job_id: str
    at_us: int
    message: str


def mark_stalled(client: redis.Redis, dataset: str, job_id: str, message: str, clock: Clock | None = None) -> None:
    """Mark a job for the next launch, for a quarter of an hour. Raises StoreUnavailable."""
    mark = StalledJob(job_id, (clock or SystemClock()).now_us(), message)
    try:
        client.set(_key(dataset), msgspec.json.encode(mark), ex=_KEPT_S)
    except RedisError as error:
        raise StoreUnavailable(f"Redis did not take the mark of the stalled job {job_id}: {error}") from error


def stalled_job(client: redis.Redis, dataset: str) -> StalledJob | None:
    """The job that bears the mark, which may have ended since. Raises StoreUnavailable."""
    try:
        held: Any = client.get(_key(dataset))
    except RedisError as error:
        raise StoreUnavailable(f"Redis does not tell which job of {dataset} is stalled: {error}") from error
    try:
        return msgspec.json.decode(held, type=StalledJob) if held else None
    except msgspec.DecodeError:
        return None


def is_stalled(client: redis.Redis, dataset: str, job_id: str) -> bool:
    """True if this very job was seen to stand still a short while ago: replace it. Raises StoreUnavailable."""
    mark = stalled_job(client, dataset)
    return mark is not None and mark.job_id == job_id


def _key(dataset: str) -> str:
    return f"stalled:{dataset}"
