"""A gap starts a run that is named after it; without one, or while the DAG is paused, nothing starts."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator

from instrument_cache_airflow.operators.reconcile_after_gap import ReconcileAfterGap


@pytest.fixture
def triggered(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    runs: list[str] = []
    monkeypatch.setattr(TriggerDagRunOperator, "execute", lambda self, context: runs.append(self.trigger_run_id))
    return runs


def look(gap: str, *, paused: bool = False) -> None:
    operator = ReconcileAfterGap(task_id="look", trigger_dag_id="cache_reconcile")
    operator._gap = lambda: gap  # type: ignore[method-assign]
    context: Any = {"ti": SimpleNamespace(get_dag=lambda dag_id: SimpleNamespace(is_paused=paused))}
    operator.execute(context)


def test_a_gap_starts_a_run_named_after_it(triggered: list[str]) -> None:
    look("refused-300")
    assert triggered == ["gap__refused-300"]


def test_without_a_gap_nothing_starts(triggered: list[str]) -> None:
    look("")
    assert triggered == []


def test_a_paused_dag_is_left_alone(triggered: list[str]) -> None:
    look("refused-300", paused=True)
    assert triggered == []


def test_the_same_gap_starts_no_second_run() -> None:
    assert ReconcileAfterGap(task_id="look", trigger_dag_id="cache_reconcile").skip_when_already_exists
