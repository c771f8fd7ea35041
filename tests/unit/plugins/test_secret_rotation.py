"""The tasks of secret_rotation that ask no server: what the form asks for, and what a report needs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk.exceptions import AirflowFailException

from instrument_cache.rotation.jwt_key import private_jwk, published
from tests.unit.plugins.airflow_env import PROJECT

NAME = "jwt:login"


@pytest.fixture
def tasks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, Any]:
    """The functions of the tasks, with a signing key that is in use."""
    import msgspec

    monkeypatch.setenv("ICACHE_ROTATION_HOLDER", f"folder:{tmp_path}")
    monkeypatch.setenv("ICACHE_ROTATION_SECRETS", f"{NAME}=signer")
    key = private_jwk("EdDSA")
    (tmp_path / "signer").write_text(key)
    (tmp_path / "signer.jwks").write_bytes(msgspec.json.encode({"keys": [published(key)]}))
    dag = DagBag(str(PROJECT / "dags" / "secret_rotation.py")).dags["secret_rotation"]
    return {task.task_id: task.python_callable for task in dag.tasks}


class Pulled:
    """Stands in for the task instance: what the tasks before returned."""

    def __init__(self, **returned: Any) -> None:
        self._returned = returned

    def xcom_pull(self, task_ids: str) -> Any:
        return self._returned.get(task_ids)


def form(**values: Any) -> dict[str, Any]:
    return {"secrets": None, "dry_run": False, "roll_back": False, **values}


def test_the_plan_names_what_is_asked_for_and_shows_no_secret(
    tasks: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert tasks["plan"](params=form()) == [NAME]
    assert tasks["plan"](params=form(secrets=[NAME], dry_run=True)) == []
    shown = capsys.readouterr().out
    assert shown == f"{NAME}: in use, nothing is under way\n" * 2
    assert {file.name for file in tmp_path.iterdir()} == {"signer", "signer.jwks"}


def test_a_name_that_is_not_there_is_not_tried_again(tasks: dict[str, Any]) -> None:
    with pytest.raises(AirflowFailException, match="no secret 'redis:x'"):
        tasks["plan"](params=form(secrets=["redis:x"]))


def test_a_report_says_why_there_is_nothing_to_report(tasks: dict[str, Any]) -> None:
    told = tasks["report"](params=form(dry_run=True), run_id="r", ti=Pulled(plan=[]))
    assert told == "dry run: the log of the task `plan` says how far each secret is"
    with pytest.raises(AirflowFailException, match="nothing was begun"):
        tasks["report"](params=form(), run_id="r", ti=Pulled())
