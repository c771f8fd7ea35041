"""The report of the operations' benchmark."""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module

import pytest
from rich.console import Console

from benchmarks.machine import Machine
from benchmarks.operations import OPERATIONS, OperationsReport, as_json, show
from benchmarks.operations_load.result import Goal, Result

RESULT = Result("reconcile", 100_000, 12.34, 99.9, (Goal("took_s", 12.34, 60.0),), {"cpu_s": 3.0})
MACHINE = Machine("a processor", 2, 24, "6.1", 0.1, 0.01)


def shown(result: Result) -> str:
    console = Console(record=True, width=160, quiet=False)
    with console.capture() as capture:
        show(OperationsReport(MACHINE, (result,)), console)
    return capture.get()


def test_a_goal_is_met_or_missed() -> None:
    assert "took_s 12.34 ≤ 60: met" in shown(RESULT)
    assert "took_s 61 ≤ 60: MISSED" in shown(replace(RESULT, goals=(Goal("took_s", 61.0, 60.0),)))


def test_what_is_wrong_is_told() -> None:
    assert "WRONG: reconcile at 100,000: 3 reads failed" in shown(replace(RESULT, problems=("3 reads failed",)))


def test_the_json_has_goals_and_figures() -> None:
    [found] = as_json(OperationsReport(MACHINE, (RESULT,)))["results"]
    assert found["goals"] == [{"name": "took_s", "value": 12.34, "most": 60.0, "is_met": True}]
    assert (found["keys"], found["memory_mb"], found["figures"]) == (100_000, 99.9, {"cpu_s": 3.0})


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_operation_can_be_measured(name: str) -> None:
    assert callable(import_module(f"benchmarks.operations_load.{name}").measure)
