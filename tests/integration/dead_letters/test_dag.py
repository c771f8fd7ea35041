"""`dag.test()` of dead_letter_archive with the settings that the laptop stack gives Airflow."""

from __future__ import annotations

from pathlib import Path

import pytest

from instrument_cache.dead_letters.service import DeadLetters, Where
from instrument_cache.settings import Environment
from local_stack.components.airflow import airflow_environment
from local_stack.instance import Instance
from tests.integration.airflow_home import AirflowHome
from tests.integration.dead_letters.letters import LetterBox
from tests.servers import free_port, wait_until


@pytest.mark.timeout(400)
def test_the_dag_archives_and_says_so_when_it_cannot(
    instance: Instance, dead_letters: DeadLetters, box: LetterBox, env: Environment, tmp_path: Path
) -> None:
    box.add(b"{broken")
    assert airflow_environment(instance).items() >= instance.settings().items()
    home = AirflowHome(tmp_path, **env.variables)
    home.migrate()
    outcome = home.run_dag("dead_letter_archive")
    assert (outcome.state, outcome.tasks) == ("success", {"archive": "success"}), outcome.log
    assert list(dead_letters.letters(where=Where.ARCHIVE)) == box.letters()

    home.settings["ICACHE_S3_ENDPOINT"] = f"http://127.0.0.1:{free_port()}"
    away = home.start_dag("dead_letter_archive")
    try:
        wait_until(lambda: "up_for_retry" in away.log, 90, what="a failed try")
        assert "S3 (http://127.0.0.1" in away.log
    finally:
        away.kill()
