"""The runs of the stream as a task sees them."""

from __future__ import annotations

from types import SimpleNamespace


class Runs:
    """What Airflow tells a task about the runs of another DAG, told from two numbers."""

    def __init__(self, active: int, watching: int, *, paused: bool = False) -> None:
        self.active, self.watching, self.paused = active, watching, paused

    def get_dag(self, dag_id: str) -> SimpleNamespace:
        assert dag_id == "stream_instruments"
        return SimpleNamespace(is_paused=self.paused)

    def get_dr_count(self, dag_id: str, *, states: list[str]) -> int:
        assert (dag_id, states) == ("stream_instruments", ["queued", "running"])
        return self.active

    def get_ti_count(self, dag_id: str, *, task_ids: list[str], states: list[str]) -> int:
        assert (dag_id, task_ids) == ("stream_instruments", ["watch_job"])
        assert states == ["scheduled", "queued", "running", "deferred"]
        return self.watching

    def xcom_push(self, key: str, value: object) -> None:
        """Airflow's operator pushes a link to the run that it starts."""
