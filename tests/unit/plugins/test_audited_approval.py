"""An answer is recorded before Airflow acts on it, and nothing is done that was not recorded."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from airflow.providers.standard.operators.hitl import ApprovalOperator

from instrument_cache.errors import ObjectStoreUnavailable
from instrument_cache.objects_memory import MemoryObjects
from instrument_cache_airflow.operators import audited_approval
from instrument_cache_airflow.operators.audited_approval import AuditedApproval

AT = datetime(2026, 11, 21, 18, 30, tzinfo=UTC)
CONTEXT: Any = {"ti": SimpleNamespace(dag_id="cache_restore", run_id="manual__1", task_id="approve")}
EVENT = {
    "chosen_options": ["Approve"],
    "params_input": {},
    "responded_at": AT,
    "responded_by_user": {"id": "7", "name": "ann"},
}


@pytest.fixture
def objects(monkeypatch: pytest.MonkeyPatch) -> MemoryObjects:
    """The bucket of the reports."""
    held = MemoryObjects()
    for name in ("ENDPOINT", "ACCESS_KEY", "SECRET_KEY"):
        monkeypatch.setenv(f"ICACHE_S3_{name}", "http://127.0.0.1:1")
    monkeypatch.setattr("instrument_cache.objects.ObjectStore", lambda settings: held)
    monkeypatch.setattr(audited_approval, "GIVE_UP_S", 0)
    return held


@pytest.fixture
def acted(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What Airflow was told to do."""
    found: list[Any] = []
    monkeypatch.setattr(ApprovalOperator, "execute_complete", lambda self, context, event: found.append(event))
    return found


def operator() -> AuditedApproval:
    return AuditedApproval(task_id="approve", subject="Restore it?", body="500 keys")


def test_who_what_and_when_are_recorded(objects: MemoryObjects, acted: list[Any]) -> None:
    operator().execute_complete(CONTEXT, EVENT)
    operator().execute_complete(CONTEXT, EVENT)
    assert acted == [EVENT, EVENT]
    (name,) = objects.bodies
    assert name == "approvals/instruments/2026-11-21/cache_restore-manual__1-approve-183000000000.json"
    report = msgspec.json.decode(objects.bodies[name])
    assert report["sentence"] == "ann answered Approve: Restore it?"
    assert (report["ok"], report["details"]["who_id"], report["details"]["shown"]) == (True, "7", "500 keys")


def test_a_refusal_and_a_silence_are_recorded_too(objects: MemoryObjects, acted: list[Any]) -> None:
    operator().execute_complete(CONTEXT, {**EVENT, "chosen_options": ["Reject"]})
    silent = {"chosen_options": ["Reject"], "params_input": {}, "responded_at": "2026-11-22T00:00:00+00:00"}
    operator().execute_complete(CONTEXT, silent)
    sentences = [msgspec.json.decode(body)["sentence"] for _, body in sorted(objects.bodies.items())]
    assert sentences == [
        "ann answered Reject: Restore it?",
        "nobody in time, so the default answered Reject: Restore it?",
    ]


def test_what_cannot_be_recorded_is_not_done(objects: MemoryObjects, acted: list[Any]) -> None:
    objects.away = True
    with pytest.raises(ObjectStoreUnavailable):
        operator().execute_complete(CONTEXT, EVENT)
    assert acted == []
