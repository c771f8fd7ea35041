"""## Purpose
Proves that the cache equals its source, and repairs what does not.

1. `compare`: look at every key of both, wait for the stream, look again, and write down what still differs.
2. `approve`: ask a person, if the repair is large or the source lost rows; else go on at once.
3. `repair`: repair what was written down and still stands so, through the versioned store.
4. `report`: publish what was found and done, also if the repair was refused, and remove old plans.

Traffic goes on meanwhile. Each task may be killed and tried again, and ends the same.

## Owner
market-data

## Tier
2: readers get what the cache holds; what is wrong in it stays wrong until a run is green.

## How long it takes
About a minute for a million keys, most of it `compare`, a third of which is rest. An approval waits for 50 minutes
and then counts as refused.

## When it is red
The source, Redis, Kafka or S3 does not answer: nothing was repaired, and the next hour tries again. If it waits at
`approve`, somebody must decide. See `docs/runbook/cache_reconcile.md`.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import dag, task

from instrument_cache_airflow.assets import CACHE
from instrument_cache_airflow.operators.approve_if_needed import ApproveIfNeeded
from instrument_cache_airflow.reconcile_form import order_of, reconcile_form
from instrument_cache_airflow.schedules import schedule_of


@dag(
    schedule=schedule_of("cache_reconcile", "5 * * * *"),
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(hours=3),
    doc_md=__doc__,
    tags=["cache", "tier:2"],
    params=reconcile_form(),
    default_args={
        "owner": "market-data",
        "retries": 3,
        "retry_delay": timedelta(seconds=15),
        "retry_exponential_backoff": 2,
        "max_retry_delay": timedelta(minutes=2),
    },
)
def cache_reconcile() -> None:
    @task(execution_timeout=timedelta(minutes=30))
    def compare(run_id: Any = None, params: Any = None) -> dict[str, Any]:
        from instrument_cache.give_way import give_way
        from instrument_cache.reconcile.service import Reconcile

        give_way()  # whoever reads comes first
        plan = Reconcile().compare(run_id, order_of(params))
        return {"kinds": plan.kinds, "reasons": [] if plan.order.dry_run else plan.reasons}

    approve = ApproveIfNeeded(
        task_id="approve",
        reasons="{{ ti.xcom_pull(task_ids='compare')['reasons'] | join('\n') }}",
        subject="Repair {{ ti.xcom_pull(task_ids='compare')['kinds'].values() | sum }} keys of the cache?",
        body="{{ ti.xcom_pull(task_ids='compare')['reasons'] | join('\n\n') }}\n\n"
        "It would repair: {{ ti.xcom_pull(task_ids='compare')['kinds'] }}",
        defaults="Reject",
        response_timeout=timedelta(minutes=50),
        retries=0,
    )

    @task(execution_timeout=timedelta(minutes=60))
    def repair(run_id: Any = None) -> None:
        from instrument_cache.give_way import give_way
        from instrument_cache.reconcile.service import Reconcile

        give_way()
        Reconcile().repair(run_id, approved=True)

    @task(execution_timeout=timedelta(minutes=5), trigger_rule="none_failed", outlets=[CACHE])
    def report(run_id: Any = None) -> dict[str, float]:
        from instrument_cache.reconcile.service import Reconcile
        from instrument_cache.reconcile.table import lines

        service = Reconcile()
        published = service.report(run_id)
        service.retain()
        print("\n".join(lines(published)))
        return published.numbers

    compare() >> approve >> repair() >> report()


cache_reconcile()
