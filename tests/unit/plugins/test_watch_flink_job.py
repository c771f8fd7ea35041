from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowFailException, TaskDeferred

from instrument_cache_airflow.operators.watch_flink_job import WatchFlinkJobOperator
from tests.servers import free_port
from tests.unit.plugins.fake_flink import FakeFlink
from tests.unit.plugins.runs import Runs

CONTEXT = cast(Any, {"ti": Runs(active=1, watching=1)})
REPLACED = {"kind": "replaced", "message": "Job a was replaced by b."}
GONE = {"kind": "gone", "message": "The streaming job is gone."}


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeFlink]:
    with FakeFlink() as server:
        monkeypatch.setenv("ICACHE_FLINK_URL", server.url)
        yield server


@pytest.fixture
def operator() -> WatchFlinkJobOperator:
    with DAG("stream_instruments", schedule=None):
        return WatchFlinkJobOperator(task_id="watch_job")


def deferred(operator: WatchFlinkJobOperator) -> dict[str, Any]:
    """The arguments of the trigger to which the operator hands over."""
    with pytest.raises(TaskDeferred) as caught:
        operator.execute(CONTEXT)
    assert caught.value.method_name == "report"
    _, arguments = caught.value.trigger.serialize()
    return dict(arguments)


def test_it_defers_with_the_job_that_runs(
    fake: FakeFlink, operator: WatchFlinkJobOperator, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake.add("a")
    monkeypatch.setenv("ICACHE_WATCH_CHECKPOINT_AGE_S_MAX", "77")
    arguments = deferred(operator)
    assert arguments["job_id"] == "a"
    assert arguments["checkpoint_age_s_max"] == 77


def test_it_defers_when_it_is_not_clear_which_job(fake: FakeFlink, operator: WatchFlinkJobOperator) -> None:
    assert deferred(operator)["job_id"] is None
    fake.add("a")
    fake.add("b")
    assert deferred(operator)["job_id"] is None


def test_it_defers_when_flink_is_away(operator: WatchFlinkJobOperator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ICACHE_FLINK_URL", f"http://127.0.0.1:{free_port()}")
    assert deferred(operator)["job_id"] is None


def test_a_lost_job_is_a_failure_that_says_what_follows(
    operator: WatchFlinkJobOperator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_VAR_STREAM_INSTRUMENTS_DESIRED", "running")
    with pytest.raises(AirflowFailException, match=r"job is gone\. The watchdog starts the launch again within"):
        operator.report(CONTEXT, GONE)


def test_a_lost_job_that_a_newer_run_launches_is_a_success(
    operator: WatchFlinkJobOperator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_VAR_STREAM_INSTRUMENTS_DESIRED", "running")
    operator.report(cast(Any, {"ti": Runs(active=2, watching=1)}), GONE)


def test_a_job_that_was_stopped_on_purpose_is_a_success(
    operator: WatchFlinkJobOperator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_VAR_STREAM_INSTRUMENTS_DESIRED", "stopped")
    operator.report(CONTEXT, GONE)


def test_a_job_that_another_run_replaced_is_a_success(
    operator: WatchFlinkJobOperator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_VAR_STREAM_INSTRUMENTS_DESIRED", "running")
    operator.report(cast(Any, {"ti": Runs(active=2, watching=2)}), REPLACED)


def test_a_job_that_was_upgraded_is_watched_from_then_on(
    fake: FakeFlink, operator: WatchFlinkJobOperator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_VAR_STREAM_INSTRUMENTS_DESIRED", "running")
    fake.add("b")
    with pytest.raises(TaskDeferred) as caught:
        operator.report(CONTEXT, REPLACED)
    _, arguments = caught.value.trigger.serialize()
    assert (caught.value.method_name, arguments["job_id"]) == ("report", "b")


def test_a_wanted_state_that_nobody_knows(operator: WatchFlinkJobOperator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_VAR_STREAM_INSTRUMENTS_DESIRED", "stoped")
    with pytest.raises(ValueError, match="is 'stoped'; set it to 'running' or 'stopped'"):
        operator.report(CONTEXT, GONE)
