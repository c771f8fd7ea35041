"""`dag.test()` of the DAGs of dead letters and of those that keep house, with the settings of the laptop stack."""

from __future__ import annotations

from pathlib import Path

import pytest

from instrument_cache.audit.service import Audit
from instrument_cache.dead_letters.service import DeadLetters, Where
from instrument_cache.settings import Environment
from local_stack.components.airflow import airflow_environment
from local_stack.instance import Instance
from tests.integration.airflow_home import AirflowHome
from tests.integration.dead_letters.letters import Job, LetterBox, V
from tests.servers import free_port, wait_until
from tests.unit.dead_letters.letters import APPLE, MICROSOFT, put


@pytest.fixture(scope="package")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> AirflowHome:
    home = AirflowHome(tmp_path_factory.mktemp("airflow"))
    home.migrate()
    return home


@pytest.fixture
def home(migrated: AirflowHome, env: Environment, tmp_path: Path) -> AirflowHome:
    folder = tmp_path / "airflow"
    folder.mkdir()
    return migrated.copy(folder, **env.variables)


@pytest.mark.timeout(400)
def test_the_dag_archives_and_says_so_when_it_cannot(
    instance: Instance, dead_letters: DeadLetters, box: LetterBox, home: AirflowHome
) -> None:
    box.add(b"{broken")
    assert airflow_environment(instance).items() >= instance.settings().items()
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


@pytest.mark.timeout(400)
def test_a_replay_is_planned_approved_carried_out_and_told(
    dead_letters: DeadLetters, box: LetterBox, home: AirflowHome, env: Environment
) -> None:
    box.add(put(APPLE, V))
    box.add(put(MICROSOFT, V))
    box.add(b"{broken")

    planned = home.run_dag("dead_letter_replay")
    assert planned.state == "success", planned.log
    assert "dry run: 2 records would be written; of the letters: 2 applied, 1 rejected" in planned.log
    assert box.changes() == []

    asked = {"dry_run": False, "approve_above": 1, "codes": ["version_in_future"], "keys": [APPLE, MICROSOFT]}
    refused = home.run_dag("dead_letter_replay", conf=asked, answer="Reject")
    assert refused.state == "success", refused.log
    assert refused.tasks == {"plan": "success", "approve": "success", "replay": "skipped", "report": "success"}
    assert box.changes() == []

    with Job(dead_letters).running():
        done = home.run_dag("dead_letter_replay", conf=asked, answer="Approve")
    assert done.state == "success", done.log
    assert "of the letters: 2 applied" in done.log
    assert {key for key, _, _ in box.changes()} == {APPLE.encode(), MICROSOFT.encode()}

    wrong = home.run_dag("dead_letter_replay", conf={"patch": [{"op": "replace", "path": "/x"}]})
    assert wrong.state == "failed"
    assert "the patch cannot be used" in wrong.log

    kinds = [entry.kind for entry in Audit(env).entries()]
    assert kinds == [
        *("dead_letter_replay", "approval", "dead_letter_replay"),
        *("approval", "dead_letter_replay_intent", "dead_letter_replay_result", "dead_letter_replay"),
    ]
    assert Audit(env).verify().ok


@pytest.mark.timeout(400)
def test_retention_is_told_and_an_altered_report_turns_the_verification_red(
    dead_letters: DeadLetters, home: AirflowHome, env: Environment, tmp_path: Path
) -> None:
    home.settings["TMPDIR"] = str(tmp_path)
    objects, folder = dead_letters.objects, f"releases/{dead_letters.dataset}/"
    objects.put_once(f"{folder}new/release.json", b"{}")
    done = home.run_dag("retention")
    assert done.state == "success", done.log
    assert "removed nothing" in done.log
    assert list(objects.keys(folder)) == [f"{folder}new/release.json"]
    (entry,) = Audit(env).entries()
    assert entry.kind == "retention"

    objects.put_over(entry.report, objects.get(entry.report).replace(b"removed nothing", b"removed 100 keys"))
    altered = home.run_dag("audit_verify")
    assert altered.tasks == {"settle": "success", "verify": "success", "report": "failed"}, altered.log
    assert f"report {entry.report}: was changed where it was written" in altered.log
    assert [entry.kind for entry in Audit(env).entries()] == ["retention", "audit_verify"]
