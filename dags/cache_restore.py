"""## Purpose
Brings a backup back into Redis, empty or live: all of it, a range of keys, or named ones. Started by hand, with a form.

1. `plan`: check all of the backup, and find out what would become of each entry. Nothing is written.
2. `approve`: show the plan, and wait until somebody approves or rejects it.
3. `restore`: check the backup again, then offer it through the guard, which keeps whatever is newer. A roll back opens
   a new epoch instead and makes the cache what the backup was.
4. `catch_up`: apply what Kafka holds since the backup, and tell who follows the change stream to read again. Nothing
   is applied after a roll back.
5. `reconcile`: compare with the source, and repair. After a roll back: compare only.
6. `report`: to S3, and its numbers to Redis.

Each task may be killed at any line and is done again from its beginning, with the same end.

## Owner
market-data

## Tier
1: it is how the cache comes back after a loss.

## How long it takes
A quarter of a minute each for `plan` and `restore` at a million instruments; then what Kafka holds since.

## When it is red
`plan` or `restore` red, "the backup is refused": the cache was not touched; choose another backup. "holds the lock":
another operation writes; wait for its end. Anything else: a part is away; clear the task when it is back. See
`docs/runbook/cache_restore.md`.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import dag, task

from instrument_cache_airflow import restore_order as order
from instrument_cache_airflow.operators.audited_approval import AuditedApproval


@dag(
    schedule=None,
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(hours=24),
    doc_md=__doc__,
    tags=["cache", "tier:1"],
    params=order.restore_form(),
    default_args={
        "owner": "market-data",
        "retries": 3,
        "retry_delay": timedelta(seconds=10),
        "retry_exponential_backoff": 2,
        "max_retry_delay": timedelta(minutes=2),
    },
)
def cache_restore() -> None:
    @task(execution_timeout=timedelta(minutes=15))
    def plan(params: Any = None, run_id: Any = None, dag_run: Any = None) -> dict[str, Any]:
        import msgspec

        from instrument_cache.restore.service import Restores

        with order.refusals_end_it():
            restores = Restores()
            request = order.request_of(restores.contract, params, run_id, dag_run.triggering_user_name or "unknown")
            made = restores.plan(request)
        print(made.markdown)
        return {**msgspec.to_builtins(made), "markdown": made.markdown, "sentence": made.sentence}

    approve = AuditedApproval(
        task_id="approve",
        subject="{{ ti.xcom_pull(task_ids='plan')['sentence'] }}?",
        body="{{ ti.xcom_pull(task_ids='plan')['markdown'] }}",
        response_timeout=timedelta(hours=12),
        retries=0,
    )

    @task(execution_timeout=timedelta(minutes=30))
    def restore(ti: Any = None) -> dict[str, Any]:
        import msgspec

        from instrument_cache.restore.service import Restores

        with order.refusals_end_it():
            done = Restores().restore(order.planned(ti))
        print(done.text)
        return dict(msgspec.to_builtins(done))

    @task(execution_timeout=timedelta(minutes=30))
    def catch_up(ti: Any = None) -> dict[str, Any]:
        import msgspec

        from instrument_cache.restore.service import Restores

        with order.refusals_end_it():
            done = Restores().catch_up(order.planned(ti))
        print(done.counts.text)
        return dict(msgspec.to_builtins(done))

    @task(execution_timeout=timedelta(minutes=30))
    def reconcile(ti: Any = None) -> str:
        from instrument_cache.restore.service import Restores

        return Restores().reconcile(order.planned(ti))

    @task(execution_timeout=timedelta(minutes=5))
    def report(ti: Any = None) -> str:
        from instrument_cache.restore.service import Restores

        published = Restores().publish(order.planned(ti), order.restored(ti), order.caught_up(ti), order.reconciled(ti))
        print(published.sentence)
        return published.sentence

    plan() >> approve >> restore() >> catch_up() >> reconcile() >> report()


cache_restore()
