"""## Purpose
Proves each week what a lost Redis primary costs. The deployment is not touched: the drill has servers of its own.

1. `drill`: start a scratch Sentinel group and a lookup worker, work with both, kill -9 the primary, and measure: the
   time without an acknowledged write, failed and stale reads, lost acknowledged writes and their repair. All of it ends
   with the task, also when the task is killed.
2. `publish_report`: write the report, with the trend of the last ten runs, to S3 and its numbers to Redis.
3. `judge`: turn red if a target of the form was missed.

## Owner
market-data

## Tier
3: it proves a promise, and nobody waits for it.

## How long it takes
About 15 s with 20,000 instruments.

## When it is red
`judge` is red: a target was missed; its last line says which, and the report shows since when. `drill` is red: it could
not be carried out, which proves nothing. See `docs/runbook/failover_drill.md`.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import dag, task
from airflow.sdk.exceptions import AirflowFailException

from instrument_cache_airflow.drill_forms import failover_form
from instrument_cache_airflow.schedules import schedule_of


@dag(
    schedule=schedule_of("failover_drill", "0 5 * * 6"),
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(hours=1),
    doc_md=__doc__,
    tags=["drill", "tier:3"],
    params=failover_form(),
    default_args={
        "owner": "market-data",
        "retries": 2,
        "retry_delay": timedelta(seconds=30),
        "retry_exponential_backoff": 2,
        "max_retry_delay": timedelta(minutes=5),
    },
)
def failover_drill() -> None:
    @task(execution_timeout=timedelta(minutes=10))
    def drill(params: Any = None, run_id: Any = None) -> dict[str, Any]:
        import msgspec

        from instrument_cache.drills.failover import FailoverPlan
        from instrument_cache_airflow.drilling import drills, tell

        done = drills().failover(run_id, FailoverPlan(**params), tell)
        return dict(msgspec.to_builtins(done))

    @task(execution_timeout=timedelta(minutes=2))
    def publish_report(done: Any) -> dict[str, Any]:
        from instrument_cache_airflow.drilling import published

        return published(done)

    @task(execution_timeout=timedelta(minutes=1))
    def judge(report: Any) -> str:
        if not report["ok"]:
            raise AirflowFailException(report["sentence"])
        return str(report["sentence"])

    judge(publish_report(drill()))


failover_drill()
