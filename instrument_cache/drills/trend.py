"""How an operation did in its last runs, read from their reports in S3."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from instrument_cache.objects import ObjectStore
from instrument_cache.reports import Report

RUNS: Final = 10


def earlier_reports(objects: ObjectStore, dataset: str, operation: str, count: int = RUNS) -> list[Report]:
    """The reports of the last runs, the oldest first. Raises ObjectStoreUnavailable.

    Of one day's runs, those that began last.
    """
    prefix = f"reports/{dataset}/{operation}/"
    days: dict[str, list[str]] = {}
    for key in objects.keys(prefix):
        days.setdefault(key.removeprefix(prefix)[:10], []).append(key)
    found: list[Report] = []
    for day in sorted(days, reverse=True):
        found += [msgspec.json.decode(objects.get(key), type=Report) for key in days[day]]
        if len(found) >= count:
            break
    return sorted(found, key=lambda report: report.started_at)[-count:]


def trend(reports: Sequence[Report], names: Sequence[str]) -> list[dict[str, Any]]:
    """[{"started_at", "ok", and each of `names` that the report has}], the oldest first."""
    return [
        {
            "started_at": report.started_at,
            "ok": report.ok,
            **{name: report.numbers[name] for name in names if name in report.numbers},
        }
        for report in reports
    ]


def trend_text(rows: Sequence[dict[str, Any]]) -> str:
    """A line for each run."""
    return "\n".join(
        f"{row['started_at'][:19]}  {'ok    ' if row['ok'] else 'missed'}  "
        + "  ".join(f"{name} {value:g}" for name, value in row.items() if name not in ("started_at", "ok"))
        for row in rows
    )
