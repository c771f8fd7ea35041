"""The trigger watches a real cluster."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

from instrument_cache_airflow.triggers.flink_job import FlinkJobTrigger
from tests.integration.plugins.flink_cluster import FlinkCluster

NAME = "instrument-cache.instruments.v1"


class Watching:
    """A trigger in a thread with an event loop, as the triggerer would run it."""

    def __init__(self, flink: FlinkCluster, job_id: str | None = None, **changes: float) -> None:
        limits = {"poll_s": 0.2, "gone_s": 1.0, "unreachable_s": 60.0, "checkpoint_age_s_max": 30.0, **changes}
        self._trigger = FlinkJobTrigger(flink_url=flink.url, dataset="instruments", job_id=job_id, **limits)
        self._event: dict[str, Any] | None = None
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)
        self._thread.start()

    async def _run(self) -> None:
        async for event in self._trigger.run():
            self._event = event.payload
            break

    def is_waiting(self, for_s: float) -> bool:
        """True if nothing happens for so long."""
        self._thread.join(for_s)
        return self._thread.is_alive()

    def event(self) -> dict[str, Any]:
        self._thread.join(90)
        assert self._event is not None
        return self._event


def test_a_healthy_job_and_its_end(flink: FlinkCluster) -> None:
    job_id = flink.submit(NAME)
    flink.await_running(job_id)
    watching = Watching(flink, job_id)
    assert watching.is_waiting(3)
    flink.rest.cancel(job_id)
    event = watching.event()
    assert event["kind"] == "gone"
    assert f"({job_id}) as CANCELED" in event["message"]


def test_a_job_that_fails(flink: FlinkCluster) -> None:
    flink.submit(NAME, body="n / (n - n)")
    event = Watching(flink, gone_s=5.0).event()  # Flink caches a job's details for 3 s
    assert event["kind"] == "gone"
    assert "as FAILED, because of ArithmeticException" in event["message"]


def test_a_second_job_and_a_job_in_its_place(flink: FlinkCluster) -> None:
    first = flink.submit(NAME)
    flink.await_running(first)
    watching = Watching(flink, first)
    flink.submit("instrument-cache.instruments.v2")
    assert watching.event()["kind"] == "duplicate"
    watching = Watching(flink, first)
    flink.rest.cancel(first)
    assert watching.event()["kind"] in {"duplicate", "replaced"}
    assert Watching(flink, first).event()["kind"] == "replaced"


def test_a_job_that_makes_no_checkpoints(flink: FlinkCluster) -> None:
    flink.submit(NAME, execution__checkpointing__interval="1h")
    event = Watching(flink, checkpoint_age_s_max=2.0).event()
    assert event["kind"] == "stalled"
    assert "is RUNNING but has completed no checkpoint" in event["message"]


def test_a_job_manager_that_dies(flink: FlinkCluster) -> None:
    job_id = flink.submit(NAME)
    flink.await_running(job_id)
    patient, impatient = Watching(flink, job_id), Watching(flink, job_id, unreachable_s=0.5)
    flink.kill_job_manager()
    assert impatient.event()["kind"] == "unreachable"
    assert patient.is_waiting(0)
    flink.start_job_manager()
    event = patient.event()
    assert event["kind"] == "gone"
    assert "a restarted JobManager forgets its jobs" in event["message"]
