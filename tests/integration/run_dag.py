"""Runs `dag.test()` of one DAG and writes what came of it: `run_dag.py DAG_ID ORDER REPORT`.

`airflow_home.py` starts it.
"""

from __future__ import annotations

import json
import re
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

from airflow.dag_processing.dagbag import DagBag
from airflow.models.dagrun import DagRun
from airflow.models.variable import Variable
from airflow.utils.session import create_session
from sqlalchemy import select


def main(dag_id: str, order: dict[str, Any], report: Path) -> None:
    bag = DagBag()
    assert not bag.import_errors, bag.import_errors
    for key, value in order["variables"].items():
        Variable.set(key, value)
    run = bag.dags[dag_id].test(
        run_after=datetime.fromisoformat(order["run_after"]) if order["run_after"] else None,
        run_conf=order["conf"],
        mark_success_pattern=re.compile(order["skip_tasks"]) if order["skip_tasks"] else None,
    )
    tasks = {task.task_id: task.state for task in run.get_task_instances()}
    outcome = {"state": run.state, "tasks": tasks, "variables": _variables(), "runs": _runs()}
    report.write_text(json.dumps(outcome), encoding="utf-8")


def _variables() -> dict[str, str]:
    with create_session() as session:
        return {variable.key: variable.val for variable in session.scalars(select(Variable))}


def _runs() -> list[dict[str, Any]]:
    with create_session() as session:
        return [
            {"dag_id": run.dag_id, "run_id": run.run_id, "state": run.state, "conf": run.conf, "note": run.note}
            for run in session.scalars(select(DagRun))
        ]


if __name__ == "__main__":
    main(sys.argv[1], json.loads(sys.argv[2]), Path(sys.argv[3]))
