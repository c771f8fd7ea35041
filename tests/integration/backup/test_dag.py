"""`dag.test()` of cache_backup with the settings that the laptop stack gives Airflow."""

from __future__ import annotations

from pathlib import Path

import pytest
import redis

from instrument_cache.backup.service import Backups
from instrument_cache.reports import newest
from instrument_cache.settings import Environment
from tests.integration.airflow_home import AirflowHome
from tests.integration.backup.filling import fill
from tests.servers import free_port

TASKS = ("protect", "export", "verify", "mark_good", "fill_regions", "retention", "report")


@pytest.mark.timeout(400)
def test_the_dag_backs_up_and_is_red_while_a_region_is_away(
    env: Environment, cache: redis.Redis, migrated: AirflowHome, tmp_path: Path
) -> None:
    fill(cache, 200)
    home = migrated.copy(tmp_path, **env.variables)
    outcome = home.run_dag("cache_backup")
    assert (outcome.state, outcome.tasks) == ("success", dict.fromkeys(TASKS, "success")), outcome.log
    assert Backups(env).catalog.newest_good().entries == 420

    home.settings["ICACHE_S3_SECOND_ENDPOINT"] = f"http://127.0.0.1:{free_port()}"
    outcome = home.run_dag("cache_backup")
    expected = dict.fromkeys(TASKS, "success") | {"report": "failed"}
    assert (outcome.state, outcome.tasks) == ("failed", expected), outcome.log
    assert "the second region lacks it: S3 (http://127.0.0.1" in outcome.log
    told = newest(cache, "instruments", "backup")
    assert told is not None
    assert (told.ok, told.numbers["regions"]) == (False, 1)
    assert len(Backups(env).catalog.good()) == 2
