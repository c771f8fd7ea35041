"""What a task may ask Airflow about the runs of a DAG: how many are active, and how many of them still launch."""

from __future__ import annotations

from typing import Any, Final

_ACTIVE: Final = ["queued", "running"]
_IN_WATCH: Final = ["scheduled", "queued", "running", "deferred"]


def active_runs(ti: Any, dag_id: str) -> int:
    """Runs that are queued or running."""
    count: int = ti.get_dr_count(dag_id, states=_ACTIVE)
    return count


def launching_runs(ti: Any, dag_id: str, watch_task_id: str) -> int:
    """Active runs that have not come to their watching task yet."""
    watching: int = ti.get_ti_count(dag_id, task_ids=[watch_task_id], states=_IN_WATCH)
    return active_runs(ti, dag_id) - watching
