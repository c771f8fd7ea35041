"""The stream is stopped only if a rule asks for it, and only once."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import DagRunTriggerException

from instrument_cache_airflow import desired_state
from instrument_cache_airflow.operators.stop_stream import StopStreamIfNeeded


@pytest.fixture
def stopped(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Whether the stream is wanted stopped: the last of the list."""
    states = [False]
    monkeypatch.setattr(desired_state, "is_stopped", lambda: states[-1])
    monkeypatch.setattr(desired_state, "want_stopped", lambda now: states.append(True))
    return states


def stop(reasons: str, try_number: int = 1) -> Any:
    """What the operator asks Airflow to start, or None."""
    operator = StopStreamIfNeeded(task_id="x", reasons=reasons)
    operator.trigger_run_id = "quality__1"
    context: Any = {"ti": SimpleNamespace(try_number=try_number, xcom_push=lambda key, value: None)}
    try:
        operator.execute(context)
    except DagRunTriggerException as wanted:
        return wanted
    return None


def test_without_a_reason_the_stream_goes_on(stopped: list[bool]) -> None:
    assert (stop(""), stopped) == (None, [False])


def test_a_critical_rule_stops_it(stopped: list[bool]) -> None:
    wanted = stop("cache: cusip_mostly_valid")
    assert (wanted.trigger_dag_id, wanted.dag_run_id, stopped[-1]) == ("stream_stop", "quality__1", True)
    assert wanted.skip_when_already_exists


def test_a_stopped_stream_is_left_alone_unless_a_first_try_was_killed(stopped: list[bool]) -> None:
    stopped.append(True)
    assert stop("cache: x") is None
    assert stop("cache: x", try_number=2).trigger_dag_id == "stream_stop"
