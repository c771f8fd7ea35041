from __future__ import annotations

import msgspec

from instrument_cache.drills.trend import earlier_reports, trend, trend_text
from instrument_cache.objects_memory import MemoryObjects
from instrument_cache.reports import Report, report_key


def kept(objects: MemoryObjects, day: int, hour: int, rto_s: float, *, operation: str = "dr_drill") -> None:
    started = f"2026-01-{day:02}T{hour:02}:00:00+00:00"
    # Run ids do not sort as their times do.
    report = Report(
        "instruments", operation, f"run-{100 - day - hour}", started, started, rto_s < 120, "", {"rto_s": rto_s}
    )
    objects.put_once(report_key(report), msgspec.json.encode(report))


def test_the_last_runs_in_the_order_of_their_start() -> None:
    objects = MemoryObjects()
    for day, hour, rto_s in ((3, 5, 30), (1, 4, 10), (3, 4, 130), (2, 4, 20)):
        kept(objects, day, hour, rto_s)
    kept(objects, 4, 4, 1, operation="failover_drill")
    found = earlier_reports(objects, "instruments", "dr_drill", 3)
    assert [report.numbers["rto_s"] for report in found] == [20, 130, 30]


def test_no_earlier_run() -> None:
    assert earlier_reports(MemoryObjects(), "instruments", "dr_drill") == []


def test_a_trend_as_people_read_it() -> None:
    objects = MemoryObjects()
    kept(objects, 1, 4, 130)
    rows = trend(earlier_reports(objects, "instruments", "dr_drill"), ["rto_s", "unknown"])
    assert rows == [{"started_at": "2026-01-01T04:00:00+00:00", "ok": False, "rto_s": 130}]
    assert trend_text(rows) == "2026-01-01T04:00:00  missed  rto_s 130"
