"""The tasks of retention, audit_verify and dead_letter_replay, called in order on real S3 and Redis."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk.exceptions import AirflowFailException

from instrument_cache.audit.places import audit_regions, lock_policy
from instrument_cache.audit.service import Audit
from instrument_cache.audit.trail import Trail
from instrument_cache.backup.signing import signing_keys
from instrument_cache.clock import FakeClock
from instrument_cache.dead_letters.operation import Asked, Done, Planned
from instrument_cache.dead_letters.outcome import LetterOutcome, ReplayOutcome
from instrument_cache.objects import ObjectStore
from instrument_cache.retention.service import Retention
from instrument_cache.settings import Environment, s3_settings
from local_stack.instance import DATASET, Instance
from tests.servers import free_port_offset, stack_component
from tests.unit.plugins.airflow_env import PROJECT

AT = datetime(2026, 11, 21, 18, tzinfo=UTC)
RUN: Any = SimpleNamespace(start_date=AT, run_after=AT, triggering_user_name="ann")


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    home, offset = tmp_path_factory.mktemp("parts"), free_port_offset()
    with stack_component("s3", home, offset), stack_component("redis", home, offset):
        yield Instance(home, Instance.from_environment().tools, offset)


@pytest.fixture
def env(instance: Instance, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Environment:
    """That of the process: one region, and a bucket for the trail of this test."""
    own = {"ICACHE_S3_SECOND_ENDPOINT": "", "ICACHE_AUDIT_BUCKET": tmp_path.name.replace("_", "-")[-40:].strip("-")}
    found = Environment({**instance.settings(), **own})
    for name, value in found.variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    audit_regions(found)[0].objects.make_bucket(object_lock=True)
    ObjectStore(s3_settings(found)).erase("reports/")
    return found


class Pulled:
    """Stands in for the task instance: what the tasks before returned."""

    def __init__(self, **returned: Any) -> None:
        self._returned = returned

    def xcom_pull(self, task_ids: str) -> Any:
        return self._returned.get(task_ids)


def call(dag_id: str, task_id: str, **context: Any) -> Any:
    task: Any = DagBag(str(PROJECT / "dags" / f"{dag_id}.py")).dags[dag_id].get_task(task_id)
    return task.python_callable(**context)


def kinds(env: Environment) -> list[str]:
    return [entry.kind for entry in Audit(env).entries()]


def test_retention_then_a_verification_then_an_alteration(env: Environment) -> None:
    assert call("retention", "settle") == "0 reports chained, 0 links brought to a region"
    removed = call("retention", "remove", params={"dry_run": True})
    told = call("retention", "report", ti=Pulled(remove=removed), run_id="nightly", dag_run=RUN)
    assert told.startswith("would remove ")

    proved = {"settle": call("audit_verify", "settle"), "verify": call("audit_verify", "verify")}
    assert "1 entries and their reports in first" in call(
        "audit_verify", "report", ti=Pulled(**proved), run_id="night-1", dag_run=RUN
    )
    assert kinds(env) == ["retention", "audit_verify"]

    objects = ObjectStore(s3_settings(env))
    name = Audit(env).entries()[0].report
    objects.put_over(name, objects.get(name) + b" ")
    proved = {"settle": call("audit_verify", "settle"), "verify": call("audit_verify", "verify")}
    with pytest.raises(AirflowFailException, match="was changed where it was written"):
        call("audit_verify", "report", ti=Pulled(**proved), run_id="night-2", dag_run=RUN)
    assert kinds(env) == ["retention", "audit_verify", "audit_verify"]


def test_an_old_report_goes_and_its_copy_stays(env: Environment) -> None:
    removed = call("retention", "remove", params={"dry_run": True})
    call("retention", "report", ti=Pulled(remove=removed), run_id="old", dag_run=RUN)
    (entry,) = Audit(env).entries()
    later = datetime.now(UTC) + timedelta(days=500)
    done = Retention(env, later).remove()
    assert entry.report in {item.name for item in done.items}
    assert list(ObjectStore(s3_settings(env)).keys(entry.report)) == []
    clock = FakeClock(int(later.timestamp() * 1e6))
    trail = Trail(audit_regions(env), DATASET, signing_keys(env), lock_policy(env), clock)
    assert Audit(env, trail).verify().ok
    assert Audit(env).body(entry)


def planned(**changed: Any) -> dict[str, Any]:
    asked = Asked(run_id="manual__1", who="ann", started_at=AT.isoformat(), dry_run=False)
    line = LetterOutcome("instruments-0-1", "x", "malformed_json", None, ReplayOutcome.APPLIED)
    made = Planned(asked, 2, {"applied": 2}, 0, 0, [line], [])
    plain: dict[str, Any] = msgspec.to_builtins(msgspec.structs.replace(made, **changed))
    return {"planned": plain, "sentence": made.sentence, "reasons": []}


def test_a_replay_is_told_whatever_became_of_it(env: Environment) -> None:
    done = msgspec.to_builtins(Done("20261121-1", "complete", "", {"applied": 2}, 0))
    told = call("dead_letter_replay", "report", ti=Pulled(plan=planned(), replay=done))
    assert told == "of the letters: 2 applied"
    another = Asked(run_id="manual__2", who="ann", started_at=AT.isoformat())
    refused = call("dead_letter_replay", "report", ti=Pulled(plan=planned(asked=another)))
    assert refused.startswith("refused: 2 records would be written")
    third = Asked(run_id="manual__3", who="ann", started_at=AT.isoformat(), dry_run=False)
    left = msgspec.to_builtins(Done("20261121-2", "complete", "", {"applied": 1, "rejected": 1}, 1))
    with pytest.raises(AirflowFailException, match="1 letters are left open"):
        call("dead_letter_replay", "report", ti=Pulled(plan=planned(asked=third), replay=left))
    assert kinds(env) == ["dead_letter_replay"] * 3
