"""Airflow's policies, which it applies to each DAG as it reads its file: none can forget to tell people of its runs."""

from __future__ import annotations

from typing import Any


def dag_policy(dag: Any) -> None:
    """See `instrument_cache_airflow/telling.py` and docs/alerts.md."""
    # Airflow reads this file while it is itself being imported.
    from instrument_cache_airflow.telling import tell_of_every_run

    tell_of_every_run(dag)
