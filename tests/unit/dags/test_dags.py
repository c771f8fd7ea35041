"""Rules for every DAG: it loads, it explains itself, its runbook page exists, and it is cheap to parse."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pendulum
import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk import DAG
from airflow.sdk.exceptions import ParamValidationError
from airflow.serialization.serialized_objects import DagSerialization
from airflow.timetables.base import DataInterval, TimeRestriction

from tests.unit.plugins.airflow_env import PROJECT

DAG_IDS = sorted(file.stem for file in (PROJECT / "dags").glob("*.py"))
SECTIONS = ["Purpose", "Owner", "Tier", "How long it takes", "When it is red"]
PARSE_S_MAX = 1.0
# The watchdog first: it runs each minute, so what it imports must not hide behind what the others need.
FILES = sorted((PROJECT / "dags").glob("*.py"), key=lambda file: (file.stem != "stream_watchdog", file.stem))

every_dag = pytest.mark.parametrize("dag_id", DAG_IDS)


@pytest.fixture(scope="module")
def dags() -> dict[str, DAG]:
    bag = DagBag(str(PROJECT / "dags"))
    assert bag.import_errors == {}
    return dict(bag.dags)


@pytest.fixture(scope="module")
def parsed() -> dict[str, Any]:
    """Per DAG file: `took_s`, the packages imported `on_top` of Airflow's, and `all` packages."""
    command = [sys.executable, "-m", "tests.unit.dags.parse_dags", *map(str, FILES)]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    report: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return report


def sections(text: str) -> dict[str, str]:
    """Heading of the second level → what stands below it."""
    parts = re.split(r"^## (.+)$", text, flags=re.MULTILINE)
    return {heading: body.strip() for heading, body in zip(parts[1::2], parts[2::2], strict=True)}


def documented(dag: DAG) -> dict[str, str]:
    return sections(dag.doc_md or "")


def test_one_file_is_one_dag(dags: dict[str, DAG]) -> None:
    assert sorted(dags) == DAG_IDS


@every_dag
def test_it_says_what_it_is_for_and_what_to_do_when_it_is_red(dags: dict[str, DAG], dag_id: str) -> None:
    found = documented(dags[dag_id])
    assert list(found) == SECTIONS
    assert all(found.values())
    assert f"docs/runbook/{dag_id}.md" in found["When it is red"]


@every_dag
def test_owner_and_tier_are_what_airflow_shows(dags: dict[str, DAG], dag_id: str) -> None:
    dag, found = dags[dag_id], documented(dags[dag_id])
    assert {task.owner for task in dag.tasks} == {found["Owner"]}
    assert f"tier:{found['Tier'][0]}" in dag.tags


@every_dag
def test_its_runbook_page_has_the_same_sections(dag_id: str) -> None:
    page = (PROJECT / "docs" / "runbook" / f"{dag_id}.md").read_text(encoding="utf-8")
    assert page.startswith(f"# {dag_id}\n")
    found = sections(page)
    assert list(found) == SECTIONS
    assert all(found.values())


@every_dag
def test_it_never_catches_up(dags: dict[str, DAG], dag_id: str) -> None:
    assert dags[dag_id].catchup is False


@every_dag
def test_runs_do_not_pile_up(dags: dict[str, DAG], dag_id: str) -> None:
    # A run of stream_instruments lasts as long as the stream: a second one may relieve it.
    assert dags[dag_id].max_active_runs == (2 if dag_id == "stream_instruments" else 1)


@every_dag
def test_every_task_ends(dags: dict[str, DAG], dag_id: str) -> None:
    # A task that waits for a person does not run meanwhile; its answer has a time limit of its own.
    endless = [
        task.task_id
        for task in dags[dag_id].tasks
        if task.execution_timeout is None and getattr(task, "response_timeout", None) is None
    ]
    assert endless == (["watch_job"] if dag_id == "stream_instruments" else [])


@every_dag
def test_a_person_is_asked_within_the_time_of_the_run(dags: dict[str, DAG], dag_id: str) -> None:
    dag = dags[dag_id]
    for task in dag.tasks:
        if answer := getattr(task, "response_timeout", None):
            assert dag.dagrun_timeout is not None
            assert answer < dag.dagrun_timeout


@every_dag
def test_each_parameter_has_a_field_that_explains_itself(dags: dict[str, DAG], dag_id: str) -> None:
    for name in dags[dag_id].params:
        param = dags[dag_id].params.get_param(name)
        assert param.description, name
        assert param.schema.get("title"), name
        assert param.schema.get("type"), name


def wrong_values(schema: dict[str, Any]) -> list[Any]:
    """Values that a field of this schema cannot mean: beyond each limit, of no known name, of another type."""
    found: list[Any] = [{"no": "field"}]
    found += [schema["minimum"] - 1] if "minimum" in schema else []
    found += [schema["maximum"] + 1] if "maximum" in schema else []
    found += ["x" * (schema["maxLength"] + 1)] if "maxLength" in schema else []
    found += ["nothing of that name"] if "enum" in schema or "string" not in schema["type"] else []
    return found


@every_dag
def test_its_form_refuses_what_cannot_be_meant(dags: dict[str, DAG], dag_id: str) -> None:
    for name in dags[dag_id].params:
        param = dags[dag_id].params.get_param(name)
        for value in wrong_values(param.schema):
            with pytest.raises(ParamValidationError):
                param.resolve(value)


@every_dag
def test_retries_back_off(dags: dict[str, DAG], dag_id: str) -> None:
    for task in dags[dag_id].tasks:
        assert not task.retries or (task.retry_exponential_backoff == 2 and task.max_retry_delay), task.task_id


@every_dag
def test_tasks_stand_in_the_order_of_the_file(dags: dict[str, DAG], dag_id: str) -> None:
    tasks = dags[dag_id].topological_sort()
    assert [list(task.downstream_task_ids) for task in tasks] == [[after.task_id] for after in tasks[1:]] + [[]]


@every_dag
def test_parsing_is_cheap(parsed: dict[str, Any], dag_id: str) -> None:
    lint = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["ruff"]["lint"]
    heavy = set(lint["flake8-tidy-imports"]["banned-module-level-imports"])
    assert heavy & set(parsed[dag_id]["on_top"]) == set()
    assert parsed[dag_id]["took_s"] < PARSE_S_MAX


def test_the_watchdog_does_not_load_kubernetes(parsed: dict[str, Any]) -> None:
    """Its task runs each minute, and each time in a new process."""
    assert "kubernetes" not in parsed["stream_watchdog"]["all"]


def test_what_the_dags_do_in_order(dags: dict[str, DAG]) -> None:
    order = {dag_id: [task.task_id for task in dag.topological_sort()] for dag_id, dag in dags.items()}
    assert order["stream_instruments"] == ["want_running", "ensure_job", "watch_job"]
    assert order["stream_watchdog"] == ["relaunch_stream"]
    assert order["stream_stop"] == ["want_stopped", "stop_job", "confirm_stopped"]
    assert order["cache_reconcile"] == ["compare", "approve", "repair", "report"]
    assert order["dead_letter_replay"] == ["plan", "approve", "replay", "report"]
    assert order["audit_verify"] == ["settle", "verify", "report"]
    assert order["retention"] == ["settle", "remove", "report"]
    assert order["secret_rotation"] == ["plan", "switch", "finish", "report"]


def test_the_watchdog_knows_the_other_dag(dags: dict[str, DAG]) -> None:
    relaunch: Any = dags["stream_watchdog"].get_task("relaunch_stream")
    assert dags[relaunch.trigger_dag_id].has_task(relaunch.watch_task_id)


def test_the_runbook_has_a_page_for_dags_only_that_exist() -> None:
    pages = {Path(page).stem for page in (PROJECT / "docs" / "runbook").glob("stream_*.md")}
    assert pages <= set(DAG_IDS)


@pytest.mark.parametrize(
    ("dag_id", "due"),
    [
        ("cache_reconcile", ["2025-11-22T03:05", "2025-11-22T04:05", "2025-11-22T05:05"]),
        ("cache_backup", ["2025-11-22T03:00", "2025-11-22T03:15", "2025-11-22T03:30"]),
        ("audit_verify", ["2025-11-23T02:20", "2025-11-24T02:20", "2025-11-25T02:20"]),
        ("retention", ["2025-11-22T03:40", "2025-11-23T03:40", "2025-11-24T03:40"]),
        ("secret_rotation", ["2025-12-01T06:20", "2026-01-01T06:20", "2026-02-01T06:20"]),
        ("dr_drill", ["2025-11-22T04:00", "2025-11-29T04:00", "2025-12-06T04:00"]),
        ("failover_drill", ["2025-11-22T05:00", "2025-11-29T05:00", "2025-12-06T05:00"]),
    ],
)
def test_the_schedule_gives_one_run_after_the_other(dags: dict[str, DAG], dag_id: str, due: list[str]) -> None:
    """As the scheduler asks for them, with the time in place of its clock: from a Saturday at three in the morning."""
    timetable = DagSerialization.from_dict(DagSerialization.to_dict(dags[dag_id])).timetable
    began = pendulum.datetime(2025, 11, 22, 2, 59, tz="UTC")
    last: DataInterval | None = None
    found: list[str] = []
    for _ in due:
        whole = TimeRestriction(earliest=began, latest=None, catchup=True)
        info = timetable.next_dagrun_info(last_automated_data_interval=last, restriction=whole)
        assert info is not None
        found.append(info.run_after.strftime("%Y-%m-%dT%H:%M"))
        last = info.data_interval
    assert found == due
