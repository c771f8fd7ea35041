"""`dag.test()` of the three DAGs: the unmodified operator, the pod runner, a real Flink with Kafka, Redis and S3."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from instrument_cache.flink_rest import FlinkRest, stream_job_name_prefix
from local_stack.components.airflow import airflow_environment
from local_stack.instance import DATASET, Instance
from tests.integration.airflow_home import AirflowHome
from tests.servers import wait_until
from tests.stack import running_parts

PARTS = ("redis", "kafka", "s3", "flink-jobmanager", "flink-taskmanager", "pod-runner")
DESIRED = "stream_instruments_desired"


@pytest.fixture(scope="module")
def instance() -> Iterator[Instance]:
    with running_parts(*PARTS) as parts:
        yield parts


@pytest.fixture(scope="module")
def home(instance: Instance, tmp_path_factory: pytest.TempPathFactory) -> AirflowHome:
    stack = airflow_environment(instance)
    settings = {name: stack[name] for name in stack if name.startswith(("ICACHE_", "AIRFLOW_CONN_"))}
    airflow = AirflowHome(Path(tmp_path_factory.mktemp("airflow")), **settings)
    airflow.migrate()
    return airflow


def living_jobs(instance: Instance) -> list[str]:
    jobs = FlinkRest(instance.url("flink")).jobs(stream_job_name_prefix(DATASET))
    return [job.state for job in jobs if not job.has_ended]


@pytest.mark.timeout(900)
def test_the_stream_is_launched_watched_stopped_and_relaunched(instance: Instance, home: AirflowHome) -> None:
    launch = home.start_dag("stream_instruments")
    try:
        wait_until(lambda: living_jobs(instance) == ["RUNNING"], 180, what="a running job")

        again = home.run_dag("stream_instruments", skip_tasks="watch_job")
        assert again.state == "success"
        assert "job_recognised" in again.log
        assert living_jobs(instance) == ["RUNNING"]

        stop = home.run_dag("stream_stop")
        assert stop.state == "success", stop.log
        assert "job_stopped" in stop.log
        assert living_jobs(instance) == []

        outcome = launch.wait(120)
        assert outcome.state == "success", outcome.log
        assert "job_started" in outcome.log
        assert set(outcome.tasks.values()) == {"success"}
    finally:
        launch.kill()

    idle = home.run_dag("stream_watchdog")
    assert [run["dag_id"] for run in idle.runs if run["state"] == "queued"] == []

    watchdog = home.run_dag("stream_watchdog", variables={DESIRED: "running"})
    assert watchdog.state == "success", watchdog.log
    assert [run["dag_id"] for run in watchdog.runs if run["state"] == "queued"] == ["stream_instruments"]
