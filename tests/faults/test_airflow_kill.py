"""The short form for Airflow: a task of an operation is killed while the stack's scheduler runs the DAG."""

from __future__ import annotations

import os

import pytest

from tests.faults.naming import is_unnamed
from tests.faults.operations.airflow_kills import AirflowField
from tests.stack import Stack

SEED = int(os.environ.get("ICACHE_TEST_SEED", "1"))


@pytest.mark.timeout(900)
def test_a_dag_whose_task_is_killed_ends_green_with_the_same_result(stack: Stack) -> None:
    stack.settle()
    result = AirflowField(stack).run("airflow-reconcile-kill-task", SEED)
    print(f"{result.tries} tries, ended {result.recovery_s:.1f} s after the kill")
    assert result.findings == ()
    assert result.tries > 1
    assert not is_unnamed(result.named), f"the doctor: {result.named}"
    assert not is_unnamed(result.shown), f"the page: {result.shown}"
