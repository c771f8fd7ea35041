"""`icache drill` over a fake of the drills."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner, Result

from instrument_cache.drills.service import Drilled
from instrument_cache.reports import Report
from local_stack.commands import drill as module

NOW = "2026-01-01T04:00:00+00:00"


class FakeDrills:
    """Comes to the misses that it is told, and remembers what was asked."""

    def __init__(self, misses: list[str]) -> None:
        self._misses, self.asked = misses, list[Any]()

    def _done(self, operation: str, tell: Any) -> Drilled:
        tell("a step")
        sentence = "; ".join(self._misses) or "all is well"
        return Drilled(operation, "shell__x", NOW, NOW, self._misses, sentence, {"rto_s": 9.5}, {})

    def failover(self, run_id: str, plan: Any, tell: Any) -> Drilled:
        self.asked.append(plan)
        return self._done("failover_drill", tell)

    def dr(self, run_id: str, targets: Any, region: str, tell: Any) -> Drilled:
        self.asked.append((targets, region))
        return self._done("dr_drill", tell)

    def backup_for_dr(self, region: str) -> Any:
        return SimpleNamespace(name="20260101T040000Z-0", started_at=NOW, entries=7)

    def publish(self, done: Drilled) -> Report:
        trend = [{"started_at": NOW, "ok": True, "rto_s": 8.0}]
        return Report(
            *("instruments", done.operation, done.run_id, NOW, NOW, not done.misses, done.sentence, done.numbers),
            {"trend": trend},
        )

    def reports(self, operation: str, count: int) -> list[Report]:
        return [Report("instruments", operation, "run-1", NOW, NOW, True, "", {"rto_s": 8.0, "other": 1.0})]


def called(monkeypatch: pytest.MonkeyPatch, drills: FakeDrills, *arguments: str) -> Result:
    monkeypatch.setattr(module, "_drills", lambda: drills)
    return CliRunner().invoke(module.drill, arguments)


def test_a_drill_that_reached_its_targets(monkeypatch: pytest.MonkeyPatch) -> None:
    drills = FakeDrills([])
    done = called(monkeypatch, drills, "dr", "--region", "first", "--rto", "60")
    assert done.exit_code == 0
    assert "all is well" in done.output
    assert "2026-01-01T04:00:00  ok      rto_s 8" in done.output
    ((targets, region),) = drills.asked
    assert (targets.rto_s_max, region) == (60, "first")


def test_a_missed_target_is_the_exit_code(monkeypatch: pytest.MonkeyPatch) -> None:
    done = called(monkeypatch, FakeDrills(["no write was taken for 9.0 s"]), "failover", "--json")
    assert done.exit_code == 1
    report = json.loads(done.output)
    assert (report["ok"], report["sentence"]) == (False, "no write was taken for 9.0 s")


def test_a_dry_run_does_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    drills = FakeDrills([])
    plan = called(monkeypatch, drills, "failover", "--instruments", "1000", "--dry-run", "--json")
    assert json.loads(plan.output)["instruments"] == 1000
    backup = called(monkeypatch, drills, "dr", "--dry-run", "--json")
    assert json.loads(backup.output)["backup"] == "20260101T040000Z-0"
    assert drills.asked == []


def test_the_trend(monkeypatch: pytest.MonkeyPatch) -> None:
    done = called(monkeypatch, FakeDrills([]), "trend", "dr", "--json")
    assert json.loads(done.output) == [{"started_at": NOW, "ok": True, "rto_s": 8.0}]


@pytest.mark.parametrize("arguments", [("failover", "--writes", "0"), ("dr", "--region", "third"), ("trend", "all")])
def test_wrong_options_are_refused(monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]) -> None:
    assert called(monkeypatch, FakeDrills([]), *arguments).exit_code == 2
