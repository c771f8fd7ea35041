"""Runs `dag.test()` of one DAG and writes what came of it: `run_dag.py DAG_ID ORDER REPORT`.

`airflow_home.py` starts it.
"""

from __future__ import annotations

import json
import re
import sys
import threading
import time
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
    if order["answer"]:
        threading.Thread(target=_answer, args=(order["answer"],), daemon=True).start()
    run = bag.dags[dag_id].test(
        run_after=datetime.fromisoformat(order["run_after"]) if order["run_after"] else None,
        run_conf=order["conf"],
        mark_success_pattern=re.compile(order["skip_tasks"]) if order["skip_tasks"] else None,
    )
    tasks = {task.task_id: task.state for task in run.get_task_instances()}
    outcome = {"state": run.state, "tasks": tasks, "variables": _variables(), "runs": _runs()}
    report.write_text(json.dumps(outcome), encoding="utf-8")


def _answer(chosen: str) -> None:
    """Answer the first question that a task asks, by the code of the REST API."""
    from airflow.api_fastapi.core_api.datamodels.hitl import UpdateHITLDetailPayload
    from airflow.api_fastapi.core_api.routes.public.hitl import update_hitl_detail
    from airflow.models.taskinstance import TaskInstance

    while True:
        time.sleep(0.3)
        with create_session() as session:
            waiting = session.scalar(select(TaskInstance).where(TaskInstance.state == "awaiting_input"))
            if waiting is None:
                continue
            place = (waiting.dag_id, waiting.run_id, waiting.task_id)
            payload = UpdateHITLDetailPayload(chosen_options=[chosen], params_input={})
            update_hitl_detail(*place, payload, _User(), session)
            return


class _User:
    """Who answers."""

    def get_id(self) -> str:
        return "ann"

    get_name = get_id


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
