"""## Purpose
Removes what has aged out by the settings: reports, Data Docs and profiles, dead-letter archives, releases and states of
the job, and folders that a killed submission left. Each night, or by hand with a form.

1. `settle`: chain what waits on the audit trail, so that no report goes before the trail has it.
2. `remove`: remove what has aged out; a dry run only lists it.
3. `report`: publish what was removed.

Backups and the plans of reconciliation are removed by their own operations. Nothing on the audit trail is removed,
nothing that a lock holds, and nothing that the job runs from or would go back to.

## Owner
market-data

## Tier
3: what should have gone stays a day longer.

## How long it takes
Seconds; a minute for each ten thousand objects.

## When it is red
S3 does not answer, or an audit key is missing; the last line of the log says which. What was removed stays removed, and
the next night goes on. See `docs/runbook/retention.md`.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import Param, dag, task

from instrument_cache_airflow.began import began
from instrument_cache_airflow.schedules import schedule_of


@dag(
    schedule=schedule_of("retention", "40 3 * * *"),
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(hours=3),
    doc_md=__doc__,
    tags=["cache", "tier:3"],
    params={
        "dry_run": Param(False, type="boolean", title="Dry run", description="List what would go; remove nothing."),
    },
    default_args={
        "owner": "market-data",
        "retries": 3,
        "retry_delay": timedelta(seconds=30),
        "retry_exponential_backoff": 2,
        "max_retry_delay": timedelta(minutes=5),
    },
)
def retention() -> None:
    @task(execution_timeout=timedelta(minutes=30))
    def settle() -> str:
        from instrument_cache.audit.service import Audit

        done = Audit().settle()
        print(done.sentence)
        return done.sentence

    @task(execution_timeout=timedelta(minutes=60))
    def remove(params: Any = None) -> dict[str, Any]:
        import msgspec

        from instrument_cache.retention.service import Retention

        done = Retention().remove(params["dry_run"])
        for item in done.items:
            print(item.kind, item.name, item.why)
        return dict(msgspec.to_builtins(done))

    @task(execution_timeout=timedelta(minutes=5))
    def report(ti: Any = None, run_id: Any = None, dag_run: Any = None) -> str:
        import msgspec

        from instrument_cache.retention.model import Removed
        from instrument_cache.retention.service import Retention

        done = msgspec.convert(ti.xcom_pull(task_ids="remove"), Removed)
        published = Retention().publish(run_id, began(dag_run), done)
        print(published.sentence)
        return published.sentence

    settle() >> remove() >> report()


retention()
