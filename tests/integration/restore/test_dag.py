"""`dag.test()` of cache_restore, approved and rejected by the code of the REST API."""

from __future__ import annotations

from pathlib import Path

import pytest

from instrument_cache.audit.service import Audit
from instrument_cache.epoch import read_epoch
from instrument_cache.reports import newest
from instrument_cache.settings import Environment
from local_stack.instance import DATASET, Instance
from tests.integration.airflow_home import AirflowHome
from tests.integration.restore.world import V, World

TASKS = ["plan", "approve", "restore", "catch_up", "reconcile", "report"]


@pytest.fixture(scope="package")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> AirflowHome:
    home = AirflowHome(tmp_path_factory.mktemp("airflow"))
    home.migrate()
    return home


@pytest.fixture
def world(env: Environment, instance: Instance, simulated: None) -> World:
    """The dataset that the simulated source has."""
    settings = instance.settings()
    own = {name: settings[name] for name in ("ICACHE_DATASET", "ICACHE_CONTRACTS") if name in settings}
    return World(Environment({**env.variables, "ICACHE_DATASET": DATASET, "ICACHE_CONTRACTS": "", **own}))


@pytest.fixture
def home(migrated: AirflowHome, world: World, tmp_path: Path) -> AirflowHome:
    folder = tmp_path / "airflow"
    folder.mkdir()
    return migrated.copy(folder, **world.env.variables)


@pytest.mark.timeout(300)
def test_an_approved_restore_makes_an_empty_cache_equal_to_its_source(world: World, home: AirflowHome) -> None:
    world.publish(range(100))
    world.put(range(90))
    world.apply()
    backup = world.backup()
    world.put(range(90, 100))
    world.apply()
    expected = world.dump()
    world.client.flushall()

    outcome = home.run_dag("cache_restore", answer="Approve", conf={"backup": backup})
    assert outcome.state == "success", outcome.log
    assert outcome.tasks == dict.fromkeys(TASKS, "success")
    assert world.dump() == expected
    assert "nothing that is newer in the cache is overwritten" in outcome.log
    report = newest(world.client, world.dataset, "restore")
    assert report is not None
    assert report.ok
    assert (report.numbers["applied"], report.numbers["caught_up_applied"]) == (180, 20)
    assert "The cache equals its source" in report.sentence
    chained = Audit(world.env).entries()
    assert [entry.kind for entry in chained[-3:]] == ["approval", "reconcile", "restore"]
    assert (chained[-3].ok, chained[-3].sentence.startswith("ann answered Approve: ")) == (True, True)


@pytest.mark.timeout(300)
def test_a_rejected_roll_back_touches_nothing(world: World, home: AirflowHome) -> None:
    world.put(range(20))
    world.apply()
    world.backup()
    world.put(range(10), V + 5)
    world.apply()
    before = world.everything()
    conf = {"mode": "roll back to", "reason": "a bad load"}
    outcome = home.run_dag("cache_restore", answer="Reject", conf=conf)
    assert outcome.state == "success", outcome.log
    assert outcome.tasks == dict(zip(TASKS, ["success"] * 2 + ["skipped"] * 4, strict=True))
    assert "newer data is overwritten" in outcome.log
    assert world.everything() == before
    assert read_epoch(world.client, world.dataset).number == 0
    rejected = Audit(world.env).entries("approval")[-1]
    assert (rejected.ok, rejected.sentence.startswith("ann answered Reject: ")) == (False, True)
