"""## Purpose
Proves each week that a lost region can be built anew from the other one's backup, how long it takes, and what is lost.

1. `drill`: start an empty Redis with Sentinels on ports of its own, restore the newest good backup from the other
   region's bucket, catch up from Kafka, serve REST, and compare all of it with the source. All of it ends with the
   task, also when the task is killed.
2. `publish_report`: write the report, with the trend of the last ten runs, to S3 and its numbers to Redis.
3. `judge`: turn red if a target of the form was missed.

The first region is only read: its backups, its log, its source.

## Owner
market-data

## Tier
3: it proves a promise, and nobody waits for it.

## How long it takes
Under half a minute with a few thousand instruments; restoring and comparing grow with the cache.

## When it is red
`judge` is red: a target was missed; its last line says which, and the report shows since when. `drill` is red: the
region could not be built, and the last line says at what. See `docs/runbook/dr_drill.md`.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import dag, task
from airflow.sdk.exceptions import AirflowFailException

from instrument_cache_airflow.assets import BACKUP, DRILL
from instrument_cache_airflow.drill_forms import dr_form
from instrument_cache_airflow.schedules import schedule_of


@dag(
    schedule=schedule_of("dr_drill", "0 4 * * 6"),
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(hours=2),
    doc_md=__doc__,
    tags=["drill", "tier:3"],
    params=dr_form(),
    default_args={
        "owner": "market-data",
        "retries": 2,
        "retry_delay": timedelta(seconds=30),
        "retry_exponential_backoff": 2,
        "max_retry_delay": timedelta(minutes=5),
    },
)
def dr_drill() -> None:
    @task(inlets=[BACKUP], execution_timeout=timedelta(minutes=30))
    def drill(params: Any = None, run_id: Any = None) -> dict[str, Any]:
        import msgspec

        from instrument_cache.drills.dr import DrTargets
        from instrument_cache_airflow.drilling import drills, tell

        targets = {name: value for name, value in params.items() if name != "region"}
        done = drills().dr(run_id, DrTargets(**targets), params["region"], tell)
        return dict(msgspec.to_builtins(done))

    @task(outlets=[DRILL], execution_timeout=timedelta(minutes=2))
    def publish_report(done: Any) -> dict[str, Any]:
        from instrument_cache_airflow.drilling import published

        return published(done)

    @task(execution_timeout=timedelta(minutes=1))
    def judge(report: Any) -> str:
        if not report["ok"]:
            raise AirflowFailException(report["sentence"])
        return str(report["sentence"])

    judge(publish_report(drill()))


dr_drill()
