"""When a run began: the same in every try of a task, so that its report has one name."""

from __future__ import annotations

from typing import Any


def began(dag_run: Any) -> str:
    """ISO 8601, UTC."""
    moment = dag_run.start_date or dag_run.run_after
    return str(moment.isoformat(timespec="seconds"))
