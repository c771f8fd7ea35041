"""The client against a real cluster; its unit tests have the answers that a real one gives only by chance."""

from __future__ import annotations

import time

import pytest

from instrument_cache.flink_rest import FlinkRefused, JobNotFound
from tests.integration.plugins.flink_cluster import FlinkCluster
from tests.servers import wait_until


def test_a_life_of_a_job(flink: FlinkCluster) -> None:
    job_id = flink.submit("instrument-cache.instruments.v1")
    flink.await_running(job_id)
    rest = flink.rest

    (job,) = [job for job in rest.jobs("instrument-cache.instruments.v") if not job.has_ended]
    assert (job.job_id, job.name, job.state) == (job_id, "instrument-cache.instruments.v1", "RUNNING")
    assert abs(job.now_ms - time.time() * 1000) < 60_000
    checkpoints = rest.checkpoints(job_id)
    assert checkpoints.latest_path
    assert f"/{job_id}/chk-" in checkpoints.latest_path
    assert 0 <= checkpoints.age_s(rest.jobs()[0]) < 60

    detail = rest.job(job_id)
    assert (detail.state, detail.restarts) == ("RUNNING", 0)
    assert 0 < detail.uptime_ms < 120_000
    wait_until(lambda: rest.source_records(job_id) > 100, what="records of the source")
    assert rest.failure(job_id) is None
    wait_until(lambda: rest.overview().slots_free == 3, what="the slots of earlier jobs")

    path = rest.stop_with_savepoint(job_id)
    assert "/savepoint-" in path
    wait_until(lambda: rest.job(job_id).state == "FINISHED", what="the end of the job")
    assert rest.job(job_id).uptime_ms == 0


def test_a_job_that_is_cancelled(flink: FlinkCluster) -> None:
    job_id = flink.submit("instrument-cache.instruments.v1")
    flink.rest.cancel(job_id)
    wait_until(lambda: flink.rest.job(job_id).state == "CANCELED", what="the end of the job")
    flink.rest.cancel(job_id)  # once more does nothing
    with pytest.raises(FlinkRefused, match="savepoint"):
        flink.rest.stop_with_savepoint(job_id)


def test_a_job_that_fails_tells_why(flink: FlinkCluster) -> None:
    job_id = flink.submit("instrument-cache.instruments.v1", body="n / (n - n)")
    wait_until(lambda: flink.rest.job(job_id).state == "FAILED", what="the failure of the job")
    assert "ArithmeticException" in str(flink.rest.failure(job_id))


def test_a_job_that_nobody_knows(flink: FlinkCluster) -> None:
    for ask in (flink.rest.job, flink.rest.checkpoints, flink.rest.failure, flink.rest.cancel):
        with pytest.raises(JobNotFound):
            ask("0" * 32)
