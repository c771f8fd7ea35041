"""From a job that applies nothing to a mark that the next launch finds: a real Redis, and a Flink that says RUNNING."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
import redis

from instrument_cache.account import PartitionAccount
from instrument_cache.connections import redis_client
from instrument_cache.freshness import FreshnessProbe, Limits, is_stalled, stalled_job
from instrument_cache.kafka import Span
from instrument_cache.settings import Environment
from instrument_cache.store.memory import MemoryStore
from instrument_cache_airflow import stall_watch as module
from instrument_cache_airflow.stall_watch import StallWatch, stall_watch
from instrument_cache_airflow.triggers.flink_job import FlinkJobTrigger
from tests.servers import free_port
from tests.unit.plugins.fake_flink import FakeFlink

FAST = {"dataset": "instruments", "poll_s": 0.02, "gone_s": 0.1, "unreachable_s": 0.2, "checkpoint_age_s_max": 300}


class StandingStore(MemoryStore):
    """A store whose account never moves."""

    def accounts(self) -> dict[int, PartitionAccount]:
        return {0: PartitionAccount(0, next=10), 1: PartitionAccount(1, next=20)}


class Seconds:
    """A clock that goes on by ten seconds with each look."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        self.now_s += 10.0
        return self.now_s


def standing_watch(client: redis.Redis, ends: dict[int, int]) -> StallWatch:
    spans = {partition: Span(0, end) for partition, end in ends.items()}
    probe = FreshnessProbe(StandingStore(), "instruments", lambda: spans, Limits(5, 30), monotonic=Seconds())
    return StallWatch(probe, client, "instruments", uptime_s_min=60)


@pytest.fixture
def fake() -> Iterator[FakeFlink]:
    with FakeFlink() as server:
        server.add("a", age_s=300, checkpoint_s=2)
        yield server


def event_of(
    fake: FakeFlink, watch: StallWatch | None, monkeypatch: pytest.MonkeyPatch, timeout_s: float = 10
) -> dict[str, Any]:
    monkeypatch.setattr("instrument_cache_airflow.triggers.flink_job.stall_watch", lambda dataset: watch)

    async def first() -> dict[str, Any]:
        async for event in FlinkJobTrigger(**{**FAST, "flink_url": fake.url}).run():
            payload: dict[str, Any] = event.payload
            return payload
        raise AssertionError("the trigger ended without an event")

    return asyncio.run(asyncio.wait_for(first(), timeout_s))


def test_a_job_that_runs_and_applies_nothing_ends_the_watch_and_is_marked(
    fake: FakeFlink, clean_redis: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    event = event_of(fake, standing_watch(clean_redis, {0: 10, 1: 27}), monkeypatch)
    assert event["kind"] == "standing"
    assert "job a is RUNNING but applies nothing" in event["message"]
    assert "applied in partition 1 since" in event["message"], "partition 0 has nothing that waits"
    assert "7 records wait in Kafka" in event["message"]
    assert is_stalled(clean_redis, "instruments", "a")
    mark = stalled_job(clean_redis, "instruments")
    assert mark is not None
    assert mark.message == event["message"]


def test_a_silent_feed_is_no_reason(fake: FakeFlink, clean_redis: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(TimeoutError):
        event_of(fake, standing_watch(clean_redis, {0: 10, 1: 20}), monkeypatch, timeout_s=0.8)
    assert stalled_job(clean_redis, "instruments") is None


def test_a_job_that_stopped_at_too_many_rejects_is_left_alone(
    fake: FakeFlink, clean_redis: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    alarm = b'{"since_us":1763674000000000,"rejected":900,"total":1000,"share":0.9,"sample":"malformed_json"}'
    clean_redis.set("alarm:instruments:rejects", alarm)
    with pytest.raises(TimeoutError):
        event_of(fake, standing_watch(clean_redis, {0: 11, 1: 21}), monkeypatch, timeout_s=0.8)


def test_without_redis_nothing_is_found() -> None:
    away = redis_client(f"redis://127.0.0.1:{free_port()}", name="test", timeout_s=0.1)
    watch = standing_watch(away, {0: 11, 1: 21})
    for _ in range(8):
        assert watch.look() is None


@pytest.mark.parametrize("missing", module.NEEDED)
def test_without_its_settings_only_flink_is_watched(missing: str) -> None:
    settings = dict.fromkeys(module.NEEDED, "x")
    del settings[missing]
    assert stall_watch("instruments", Environment(settings)) is None


def test_with_its_settings_it_waits_for_twice_the_limit(tmp_path: Any) -> None:
    (tmp_path / "url").write_text("redis://127.0.0.1:1")
    settings = {"ICACHE_REDIS_URL_FILE": str(tmp_path / "url"), "ICACHE_KAFKA_BOOTSTRAP": "127.0.0.1:1"}
    watch = stall_watch("instruments", Environment({**settings, "ICACHE_FRESHNESS_STALLED_S": "20"}))
    assert watch is not None
    assert watch.uptime_s_min == 40
