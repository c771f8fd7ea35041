from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from airflow.sdk.module_loading import import_string

from instrument_cache_airflow.triggers.flink_job import FlinkJobTrigger
from tests.servers import free_port, wait_until
from tests.unit.plugins.fake_flink import NAME, FakeFlink

FAST = {"dataset": "instruments", "poll_s": 0.02, "gone_s": 0.1, "unreachable_s": 0.2, "checkpoint_age_s_max": 300}


@pytest.fixture
def fake() -> Iterator[FakeFlink]:
    with FakeFlink() as server:
        yield server


def trigger(fake: FakeFlink, **changes: Any) -> FlinkJobTrigger:
    return FlinkJobTrigger(**{**FAST, "flink_url": fake.url, **changes})


async def _event(watching: FlinkJobTrigger) -> dict[str, Any]:
    async for event in watching.run():
        payload: dict[str, Any] = event.payload
        return payload
    raise AssertionError("the trigger ended without an event")


def event_of(watching: FlinkJobTrigger) -> dict[str, Any]:
    return asyncio.run(asyncio.wait_for(_event(watching), timeout=10))


def test_a_trigger_is_born_again_from_what_it_serializes(fake: FakeFlink) -> None:
    path, arguments = trigger(fake, job_id="a").serialize()
    again = import_string(path)(**arguments)
    assert type(again) is FlinkJobTrigger
    assert again.serialize() == (path, arguments)


def test_it_waits_while_the_job_is_healthy(fake: FakeFlink) -> None:
    fake.add("a", checkpoint_s=2)
    with pytest.raises(TimeoutError):
        asyncio.run(asyncio.wait_for(_event(trigger(fake)), timeout=0.5))
    assert len(fake.requests) > 4


@pytest.mark.parametrize("state", ["FAILED", "FINISHED", "CANCELED"])
def test_a_job_that_ended(fake: FakeFlink, state: str) -> None:
    fake.add("a", state)
    event = event_of(trigger(fake))
    assert event["kind"] == "gone"
    assert f"(a) as {state}" in event["message"]


def test_a_job_that_vanishes(fake: FakeFlink) -> None:
    fake.add("a", checkpoint_s=2)

    def lose_it() -> None:
        wait_until(lambda: len(fake.requests) > 3)
        fake.jobs.clear()

    threading.Thread(target=lose_it).start()
    assert event_of(trigger(fake))["kind"] == "gone"


def test_two_jobs(fake: FakeFlink) -> None:
    fake.add("a")
    fake.add("b", name="instrument-cache.instruments.v2")
    assert event_of(trigger(fake))["kind"] == "duplicate"


def test_a_job_of_another_dataset_is_none_of_its_business(fake: FakeFlink) -> None:
    fake.add("a", name="instrument-cache.prices.v1")
    assert event_of(trigger(fake))["kind"] == "gone"


def test_another_job_took_over(fake: FakeFlink) -> None:
    fake.add("b", name=NAME)
    assert event_of(trigger(fake, job_id="a"))["kind"] == "replaced"


def test_no_checkpoint_for_too_long(fake: FakeFlink) -> None:
    fake.add("a", age_s=500)
    event = event_of(trigger(fake, checkpoint_age_s_max=0.1))
    assert event["kind"] == "stalled"
    assert "no checkpoint for 500 s" in event["message"]


def test_flink_away(fake: FakeFlink) -> None:
    began_s = time.monotonic()
    assert event_of(trigger(fake, flink_url=f"http://127.0.0.1:{free_port()}"))["kind"] == "unreachable"
    assert time.monotonic() - began_s >= FAST["unreachable_s"]  # type: ignore[operator]


def test_flink_away_for_a_moment(fake: FakeFlink) -> None:
    fake.add("a", checkpoint_s=1)
    fake.status = 503
    threading.Timer(0.1, lambda: setattr(fake, "status", 200)).start()
    with pytest.raises(TimeoutError):
        asyncio.run(asyncio.wait_for(_event(trigger(fake)), timeout=0.6))


def test_the_event_loop_stays_free_while_flink_hangs(fake: FakeFlink) -> None:
    """A blocked loop would hold up every other trigger."""

    async def beats() -> int:
        watching = asyncio.create_task(_event(trigger(fake)))
        count = 0
        while not watching.done():
            await asyncio.sleep(0.01)
            count += 1
        return count

    assert asyncio.run(beats()) >= 5
