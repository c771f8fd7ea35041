"""## Purpose
Scores the running system each week: is it ready to be relied on?

1. `assess`: ask every part as the doctor does, look at the newest proofs (equality, backup, drills, budgets) and at how
   Redis is set up, and write the report to S3 with the trend of the last ten runs, and its numbers to Redis.
2. `judge`: turn red below the form's goal.

Nothing is changed.

## Owner
market-data

## Tier
3: what is broken now is told by others first.

## How long it takes
Some seconds; up to half a minute while a part hangs.

## When it is red
`judge` is red: its last line names the checks that cost most, and the report has the fix of each. `assess` is red:
Redis or S3 does not answer. See `docs/runbook/readiness_score.md`.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import dag, task
from airflow.sdk.exceptions import AirflowFailException

from instrument_cache_airflow.report_forms import readiness_form
from instrument_cache_airflow.schedules import schedule_of


@dag(
    schedule=schedule_of("readiness_score", "45 6 * * 1"),
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(hours=1),
    doc_md=__doc__,
    tags=["report", "tier:3"],
    params=readiness_form(),
    default_args={
        "owner": "market-data",
        "retries": 2,
        "retry_delay": timedelta(seconds=30),
        "retry_exponential_backoff": 2,
        "max_retry_delay": timedelta(minutes=5),
    },
)
def readiness_score() -> None:
    @task(execution_timeout=timedelta(minutes=5))
    def assess(params: Any = None, run_id: Any = None) -> dict[str, Any]:
        from instrument_cache.readiness.service import Readiness
        from instrument_cache_airflow.told import told

        return told(Readiness().run(run_id, params["goal_percent"]))

    @task(execution_timeout=timedelta(minutes=1))
    def judge(report: Any) -> str:
        if not report["ok"]:
            raise AirflowFailException(report["sentence"])
        return str(report["sentence"])

    judge(assess())


readiness_score()
