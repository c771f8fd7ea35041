"""A launch replaces the one job that was seen to stand still, and no other."""

from __future__ import annotations

from functools import partial

import redis

from flink_jobs.launch import launcher
from flink_jobs.launch.wanted import Configured
from instrument_cache.freshness import is_stalled, mark_stalled
from tests.contract.flink_jobs.launching import Launching
from tests.contract.flink_jobs.test_launching import put_point


def ensure(launching: Launching, client: redis.Redis) -> None:
    stream = launching.stream("1")
    stalled = partial(is_stalled, client, launching.dataset)
    launcher.ensure(stream, Configured("1", 0), launching._upgrade(stream), stalled)


def test_a_marked_job_goes_on_from_its_newest_checkpoint_and_its_successor_is_left_alone(
    launching: Launching, clean_redis: redis.Redis
) -> None:
    ensure(launching, clean_redis)
    first = launching.wanted().current
    path = f"{launching.points.checkpoint_folder(1)}/{first.job_id}/chk-7"
    put_point(launching, path)
    mark_stalled(clean_redis, launching.dataset, first.job_id, "It stands still.")

    ensure(launching, clean_redis)
    second = launching.wanted().current
    assert launching.fake.jobs[first.job_id]["state"] == "CANCELED"
    assert launching.living() == ["1"]
    assert launching.cluster.starts[-1][2] == path
    assert not [request for request in launching.fake.requests if request.endswith("/stop")], "it can make no savepoint"

    ensure(launching, clean_redis)
    assert launching.wanted().current.job_id == second.job_id, "the mark names the job that was replaced"


def test_a_mark_on_another_job_changes_nothing(launching: Launching, clean_redis: redis.Redis) -> None:
    ensure(launching, clean_redis)
    before = launching.wanted().current.job_id
    mark_stalled(clean_redis, launching.dataset, "another", "It stands still.")
    ensure(launching, clean_redis)
    assert launching.wanted().current.job_id == before
    assert len(launching.cluster.starts) == 1
