"""Both drills on real servers: through their DAGs, and killed on the way."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator

import pytest

from instrument_cache.drills.service import DR, FAILOVER, Drills
from local_stack.components.airflow import airflow_environment
from local_stack.instance import PROJECT
from local_stack.processes import marked
from tests.integration.airflow_home import AirflowHome
from tests.integration.drills.first_region import FirstRegion, first_region
from tests.servers import wait_until

ROWS, CHANGED, DELETED = 3000, 200, 20
_DRILL = """
import sys
from pathlib import Path
from instrument_cache.drills.dr import run_dr
from instrument_cache.drills.process_site import ProcessSite
from instrument_cache.settings import environment
run_dr(ProcessSite(environment(), parent=Path(sys.argv[1])), lambda step: print(step, flush=True))
"""


@pytest.fixture(scope="module")
def region() -> Iterator[FirstRegion]:
    with first_region() as region:
        region.fill(ROWS)
        region.apply()
        region.back_up("first")
        region.change(CHANGED, DELETED)
        yield region


@pytest.fixture(scope="module")
def home(region: FirstRegion, migrated: AirflowHome, tmp_path_factory: pytest.TempPathFactory) -> AirflowHome:
    stack = airflow_environment(region.instance)
    settings = {name: stack[name] for name in stack if name.startswith(("ICACHE_", "AIRFLOW_CONN_"))}
    return migrated.copy(tmp_path_factory.mktemp("airflow"), **settings)


def numbers(region: FirstRegion, operation: str) -> dict[str, float]:
    """Of the one report."""
    (report,) = Drills(region.env).reports(operation, 10)
    return report.numbers


@pytest.mark.timeout(180)
def test_a_second_region_comes_out_of_the_other_ones_backup(region: FirstRegion, home: AirflowHome) -> None:
    done = home.run_dag("dr_drill", conf={"rto_s_max": 480})
    assert done.state == "success", done.log
    found = numbers(region, DR)
    assert found["entries"] >= ROWS
    assert found["keys"] == ROWS - DELETED
    assert (found["behind"], found["extra"], found["rpo_s"]) == (0, 0, 0)
    assert found["asked"] == found["right"] == 200
    assert found["caught_up"] >= CHANGED + DELETED


@pytest.mark.timeout(180)
def test_a_missed_target_turns_the_run_red_and_is_reported(region: FirstRegion, home: AirflowHome) -> None:
    done = home.run_dag("failover_drill", conf={"instruments": 2000, "write_gap_s_max": 0.1})
    assert done.state == "failed"
    assert done.tasks == {"drill": "success", "publish_report": "success", "judge": "failed"}
    assert "no write was taken for" in done.log
    found = numbers(region, FAILOVER)
    assert found["write_gap_s"] < 4 * 3.5
    assert found["failed_cached_reads"] == 0
    assert found["lost_writes"] == found["repaired_writes"]
    assert found["cached_reads"] > 100


@pytest.mark.timeout(120)
def test_nothing_is_left_of_a_drill_that_was_killed(region: FirstRegion) -> None:
    with tempfile.TemporaryDirectory() as parent:
        environment = {**os.environ, **region.instance.settings(), "ICACHE_INSTANCE": parent}
        drill = subprocess.Popen(
            [sys.executable, "-c", _DRILL, parent], cwd=PROJECT, env=environment, stdout=subprocess.PIPE, text=True
        )
        assert drill.stdout is not None
        while not drill.stdout.readline().startswith("serve"):
            assert drill.poll() is None
        # Two Redis, three Sentinels, and the lookup service with its worker.
        assert len(marked(parent) - {drill.pid}) >= 7
        drill.send_signal(signal.SIGKILL)
        drill.wait()
        drill.stdout.close()
        wait_until(lambda: not marked(parent), 20, what="the end of the drill's servers")
