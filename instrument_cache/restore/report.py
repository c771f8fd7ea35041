"""What a restore came to, for people and for the exporter."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

import msgspec

from instrument_cache.reports import Report
from instrument_cache.restore.catch_up import CaughtUp
from instrument_cache.restore.counts import Counts
from instrument_cache.restore.plan import Plan

OPERATION: Final = "restore"


def report_of(plan: Plan, restored: Counts, caught_up: CaughtUp, reconciled: str) -> Report:
    """The report. `reconciled`: what the comparison with the source found; empty: there was none."""
    finished = datetime.now(UTC)
    started = datetime.fromisoformat(plan.planned_at)
    numbers = {**_named("", restored), **_named("caught_up_", caught_up.counts)}
    numbers["seconds"] = (finished - started).total_seconds()
    return Report(
        dataset=plan.dataset,
        operation=OPERATION,
        run_id=plan.request.run_id,
        started_at=plan.planned_at,
        finished_at=finished.isoformat(timespec="seconds"),
        ok=True,
        sentence=f"{plan.sentence}: {restored.text}; from Kafka: {caught_up.counts.text}. {reconciled}".strip(),
        numbers=numbers,
        details={"plan": msgspec.to_builtins(plan), "lost_partitions": list(caught_up.lost), "reconciled": reconciled},
    )


def _named(prefix: str, counts: Counts) -> dict[str, float]:
    return {prefix + name: amount for name, amount in counts.numbers.items()}
