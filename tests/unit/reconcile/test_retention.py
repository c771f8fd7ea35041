"""Plans go when they are old, whole folders at a time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from instrument_cache.objects_memory import MemoryObjects
from instrument_cache.reconcile.retention import remove_plans

NOW = datetime(2025, 11, 21, 18, tzinfo=UTC)


def test_a_run_goes_when_nothing_was_written_to_it_for_long() -> None:
    objects = MemoryObjects()
    ages = {
        "reconcile/instruments/old/plan.json": 31,
        "reconcile/instruments/old/a1/part-00000.json": 31,
        "reconcile/instruments/approved-late/plan.json": 31,
        "reconcile/instruments/approved-late/result-00000.json": 1,
        "reconcile/instruments-b/old/plan.json": 400,
        "reports/instruments/reconcile/2024-01-01/old.json": 400,
    }
    for key, days in ages.items():
        objects.put_once(key, b"{}")
        objects.times[key] = NOW - timedelta(days=days)
    assert remove_plans(objects, "instruments", 30, NOW, dry_run=True) == ["reconcile/instruments/old/"]
    assert set(objects.bodies) == set(ages)
    assert remove_plans(objects, "instruments", 30, NOW) == ["reconcile/instruments/old/"]
    assert set(ages) - set(objects.bodies) == {key for key in ages if key.startswith("reconcile/instruments/old/")}
    assert remove_plans(objects, "instruments", 30, NOW) == []
