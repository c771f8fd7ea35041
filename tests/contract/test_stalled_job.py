"""The mark on a job that stands still, in a real Redis."""

from __future__ import annotations

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from instrument_cache.clock import FakeClock
from instrument_cache.errors import StoreUnavailable
from instrument_cache.freshness import is_stalled, mark_stalled, stalled_job
from tests.servers import free_port


def test_a_mark_is_for_one_job_of_one_dataset(clean_redis: redis.Redis) -> None:
    assert stalled_job(clean_redis, "instruments") is None
    mark_stalled(clean_redis, "instruments", "a", "It stands still.", FakeClock(1_763_674_000_000_000))
    assert is_stalled(clean_redis, "instruments", "a")
    assert not is_stalled(clean_redis, "instruments", "b"), "the job that comes after it"
    assert not is_stalled(clean_redis, "issuers", "a")
    mark = stalled_job(clean_redis, "instruments")
    assert mark is not None
    assert (mark.message, mark.at_us) == ("It stands still.", 1_763_674_000_000_000)


def test_a_mark_does_not_stay(clean_redis: redis.Redis) -> None:
    mark_stalled(clean_redis, "instruments", "a", "It stands still.")
    assert 0 < clean_redis.ttl("stalled:instruments") <= 900  # type: ignore[operator]


@pytest.mark.parametrize("held", [b"", b"{", b"[]", b'{"job_id":7}'])
def test_what_is_no_mark_marks_nothing(clean_redis: redis.Redis, held: bytes) -> None:
    clean_redis.set("stalled:instruments", held)
    assert not is_stalled(clean_redis, "instruments", "a")


def test_without_redis_nobody_knows() -> None:
    away = redis.Redis(port=free_port(), retry=Retry(NoBackoff(), 0))
    with pytest.raises(StoreUnavailable):
        is_stalled(away, "instruments", "a")
    with pytest.raises(StoreUnavailable):
        mark_stalled(away, "instruments", "a", "It stands still.")
