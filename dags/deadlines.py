"""## Purpose
An operation that did not happen is an alarm too. Each ten minutes this asks, for every operation that runs by itself,
when it was green last, and tells people of those that are late: they are switched off, wait, or fail again and again.
The deadlines are in `instrument_cache/alerts/deadlines.py`.

## Owner
market-data

## Tier
1: without it nobody hears that a backup was not made.

## How long it takes
A second; ten if receivers are slow.

## When it is red
It could not ask: Redis is away, or a setting is wrong. A late operation leaves it green: people are told of that one by
its own name and tier. See `docs/runbook/deadlines.md`.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from airflow.sdk import dag, task


@dag(
    schedule="*/10 * * * *",
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(minutes=5),
    doc_md=__doc__,
    tags=["alerts", "tier:1"],
    default_args={"owner": "market-data"},
)
def deadlines() -> None:
    @task(execution_timeout=timedelta(minutes=2))
    def look() -> list[str]:
        from instrument_cache_airflow.telling import tell_of_overdue

        return tell_of_overdue(file.stem for file in Path(__file__).parent.glob("*.py"))

    look()


deadlines()
