from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from airflow.sdk.exceptions import DagRunTriggerException

from instrument_cache_airflow.operators.relaunch_stream import RelaunchStreamOperator
from tests.servers import free_port
from tests.unit.plugins.fake_flink import FakeFlink
from tests.unit.plugins.runs import Runs


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeFlink]:
    with FakeFlink() as server:
        monkeypatch.setenv("ICACHE_FLINK_URL", server.url)
        monkeypatch.setenv("ICACHE_WATCHDOG_MISSING_S", "0")
        monkeypatch.setenv("AIRFLOW_VAR_STREAM_INSTRUMENTS_DESIRED", "running")
        yield server


@pytest.fixture
def operator() -> RelaunchStreamOperator:
    return RelaunchStreamOperator(task_id="x", trigger_dag_id="stream_instruments", watch_task_id="watch_job")


def relaunch(operator: RelaunchStreamOperator, runs: Runs) -> Any:
    """What the operator asks Airflow to start, or None."""
    operator.trigger_run_id = "watchdog__1"
    context: Any = {"ti": runs}
    try:
        operator.execute(context)
    except DagRunTriggerException as wanted:
        return wanted
    return None


@pytest.mark.usefixtures("fake")
def test_nothing_sees_to_the_stream(operator: RelaunchStreamOperator) -> None:
    wanted = relaunch(operator, Runs(0, 0))
    assert wanted.trigger_dag_id == "stream_instruments"
    assert wanted.dag_run_id == "watchdog__1"
    assert wanted.conf == {"asked_by": "stream_watchdog", "reason": "the stream should run and no run sees to it"}
    assert wanted.note == "Started by the watchdog: the stream should run and no run sees to it."
    assert wanted.skip_when_already_exists


@pytest.mark.usefixtures("fake")
@pytest.mark.parametrize("runs", [Runs(1, 0), Runs(2, 1), Runs(0, 0, paused=True)])
def test_it_leaves_a_launch_or_a_paused_dag_alone(operator: RelaunchStreamOperator, runs: Runs) -> None:
    assert relaunch(operator, runs) is None


@pytest.mark.usefixtures("fake")
def test_it_leaves_a_stopped_stream_alone(operator: RelaunchStreamOperator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_VAR_STREAM_INSTRUMENTS_DESIRED", "stopped")
    assert relaunch(operator, Runs(0, 0)) is None


def test_a_watched_job_that_runs(fake: FakeFlink, operator: RelaunchStreamOperator) -> None:
    fake.add("a")
    assert relaunch(operator, Runs(1, 1)) is None


@pytest.mark.usefixtures("fake")
def test_a_watched_job_that_is_missing(operator: RelaunchStreamOperator) -> None:
    assert "does the triggerer run?" in relaunch(operator, Runs(1, 1)).conf["reason"]


@pytest.mark.usefixtures("fake")
def test_another_launch_begins_while_the_watchdog_looks(operator: RelaunchStreamOperator) -> None:
    class Launching(Runs):
        def get_ti_count(self, *arguments: Any, **more: Any) -> int:
            count = super().get_ti_count(*arguments, **more)
            self.active = 2
            return count

    assert relaunch(operator, Launching(1, 1)) is None


@pytest.mark.usefixtures("fake")
def test_flink_away_is_no_proof(operator: RelaunchStreamOperator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ICACHE_FLINK_URL", f"http://127.0.0.1:{free_port()}")
    assert relaunch(operator, Runs(1, 1)) is None
