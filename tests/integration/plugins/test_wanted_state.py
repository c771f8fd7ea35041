"""The DAGs against a real Airflow database: who may change the wanted state, and what follows from it.

The pods are left out here.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.integration.airflow_home import AirflowHome, Outcome
from tests.integration.plugins.flink_cluster import FlinkCluster
from tests.servers import free_port, wait_until

DESIRED, STOPPED_AT = "stream_instruments_desired", "stream_instruments_stopped_at"
WITHOUT_PODS = "ensure_job|stop_job"


@pytest.fixture
def home(airflow_home: AirflowHome) -> AirflowHome:
    """Flink is away."""
    airflow_home.settings["ICACHE_FLINK_URL"] = f"http://127.0.0.1:{free_port()}"
    return airflow_home


def launches(outcome: Outcome) -> list[dict[str, Any]]:
    """The runs of the stream."""
    return [run for run in outcome.runs if run["dag_id"] == "stream_instruments"]


def test_the_watchdog_leaves_a_stopped_stream_alone(home: AirflowHome) -> None:
    outcome = home.run_dag("stream_watchdog", variables={DESIRED: "stopped"})
    assert outcome.state == "success"
    assert "Nothing to do: the stream is stopped on purpose" in outcome.log
    assert launches(outcome) == []


def test_the_watchdog_starts_a_stream_once(home: AirflowHome) -> None:
    (launch,) = launches(home.run_dag("stream_watchdog"))
    assert launch["run_id"].startswith("watchdog__")
    assert launch["state"] == "queued"
    assert launch["conf"]["asked_by"] == "stream_watchdog"
    assert launch["note"] == "Started by the watchdog: the stream should run and no run sees to it."
    again = home.run_dag("stream_watchdog")
    assert "Nothing to do: a launch is under way" in again.log
    assert launches(again) == [launch]


def test_the_watchdog_leaves_a_paused_stream_alone(home: AirflowHome) -> None:
    home.settings["AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION"] = "True"
    outcome = home.run_dag("stream_watchdog")
    assert "Nothing to do: stream_instruments is paused" in outcome.log
    assert launches(outcome) == []


def test_a_stream_that_is_lost_and_one_that_is_stopped(airflow_home: AirflowHome, flink: FlinkCluster) -> None:
    airflow_home.settings.update(ICACHE_FLINK_URL=flink.url, ICACHE_WATCH_POLL_S="1", ICACHE_WATCH_GONE_S="1")
    lost = flink.submit("instrument-cache.instruments.v1")
    run = airflow_home.start_dag("stream_instruments", skip_tasks=WITHOUT_PODS)
    wait_until(lambda: "is RUNNING" in run.log, 90, what="the watch")
    flink.rest.cancel(lost)
    outcome = run.wait()
    assert outcome.state == "failed"
    assert outcome.tasks == {"want_running": "success", "ensure_job": "success", "watch_job": "failed"}
    assert outcome.variables[DESIRED] == "running"
    assert "The watchdog starts the launch again within a minute." in outcome.log

    outcome = airflow_home.run_dag("stream_stop", skip_tasks=WITHOUT_PODS)
    assert outcome.state == "success"
    assert outcome.variables[DESIRED] == "stopped"
    assert outcome.variables[STOPPED_AT]


def test_a_manual_run_starts_a_stopped_stream(home: AirflowHome) -> None:
    stopped = {DESIRED: "stopped", STOPPED_AT: (datetime.now(UTC) - timedelta(minutes=1)).isoformat()}
    outcome = home.run_dag("stream_instruments", variables=stopped, skip_tasks=f"{WITHOUT_PODS}|watch_job")
    assert outcome.tasks["want_running"] == "success"
    assert outcome.variables[DESIRED] == "running"


def test_a_run_that_was_asked_for_before_the_stop_does_not_undo_it(home: AirflowHome) -> None:
    stopped = {DESIRED: "stopped", STOPPED_AT: (datetime.now(UTC) + timedelta(minutes=1)).isoformat()}
    outcome = home.run_dag("stream_instruments", variables=stopped)
    assert set(outcome.tasks.values()) == {"skipped"}
    assert outcome.variables[DESIRED] == "stopped"


def test_a_run_of_the_watchdog_never_undoes_a_stop(home: AirflowHome) -> None:
    conf = {"asked_by": "stream_watchdog"}
    outcome = home.run_dag("stream_instruments", variables={DESIRED: "stopped"}, conf=conf)
    assert set(outcome.tasks.values()) == {"skipped"}
    assert outcome.variables[DESIRED] == "stopped"
