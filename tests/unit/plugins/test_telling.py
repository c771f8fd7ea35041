"""Every DAG tells people of its runs, and the deadlines are those of DAGs that are there."""

from __future__ import annotations

import pytest
from airflow.dag_processing.dagbag import DagBag

from instrument_cache.alerts.deadlines import DEADLINES
from instrument_cache_airflow.telling import TellPeople, tier_of
from tests.unit.plugins.airflow_env import PROJECT


@pytest.fixture(scope="module")
def bag() -> DagBag:
    return DagBag(str(PROJECT / "dags"))


def test_every_dag_tells_people_of_every_run(bag: DagBag) -> None:
    assert len(bag.dags) > 10
    for dag in bag.dags.values():
        red, green = dag.on_failure_callback, dag.on_success_callback
        assert [callback.good for callback in (*red, *green) if isinstance(callback, TellPeople)] == [False, True]
        assert (dag.has_on_failure_callback, dag.has_on_success_callback) == (True, True), dag.dag_id


def test_the_deadlines_have_the_tiers_of_their_dags(bag: DagBag) -> None:
    tiers = {dag_id: tier_of(dag.tags) for dag_id, dag in bag.dags.items()}
    assert {name: tier for name, (tier, _) in DEADLINES.items() if name in tiers} == {
        name: tiers[name] for name in DEADLINES if name in tiers
    }


def test_a_dag_that_runs_by_itself_has_a_deadline(bag: DagBag) -> None:
    scheduled = {dag_id for dag_id, dag in bag.dags.items() if dag.schedule is not None}
    assert scheduled - {"deadlines"} <= DEADLINES.keys()
