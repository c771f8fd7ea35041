"""`dag.test()` of the stream's DAGs: the unmodified operator, the pod runner, a real Flink with Kafka, Redis and S3."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from flink_jobs.launch.release import Release, local_release
from flink_jobs.launch.release_store import ReleaseStore
from instrument_cache.flink_rest import FlinkRest, stream_job_name_prefix
from instrument_cache.objects import ObjectStore
from instrument_cache.settings import Environment, s3_settings
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
def home(instance: Instance, migrated: AirflowHome, tmp_path_factory: pytest.TempPathFactory) -> AirflowHome:
    stack = airflow_environment(instance)
    settings = {name: stack[name] for name in stack if name.startswith(("ICACHE_", "AIRFLOW_CONN_"))}
    return migrated.copy(tmp_path_factory.mktemp("airflow"), **settings)


def publish_release(instance: Instance, version: str) -> None:
    """This checkout's code, with one comment more, under another name."""
    env = Environment(instance.settings())
    files = dict(local_release(env).files)
    files["flink_jobs/apply.py"] += b"# another release\n"
    ReleaseStore(ObjectStore(s3_settings(env)), DATASET).publish(Release(version, files))


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

        publish_release(instance, "next")
        upgrade = home.run_dag("stream_upgrade", conf={"version": "next", "parallelism": 1, "gate_s": 5})
        assert upgrade.state == "success", upgrade.log
        assert "release next runs, at parallelism 1" in upgrade.log
        assert living_jobs(instance) == ["RUNNING"]
        wait_until(lambda: "is watched from here on" in launch.log, 60, what="the watch of the new job")

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
