"""## Purpose
Says each day what is left of the error budgets: freshness, availability, latency and equality of the last 30 days.

1. `assess`: read the minutes that the exporter measured, work out budgets and burn rates, and write the report to S3
   and its numbers to Redis.
2. `judge`: turn red if a budget is spent, or burns so fast that it will be.

Nothing is measured here, and nothing is changed.

## Owner
market-data

## Tier
3: it tells whether promises are kept, and nobody waits for it.

## How long it takes
Some seconds.

## When it is red
`judge` is red: its last line names the budget, and what is left of it. `assess` is red: Redis or S3 does not answer.
See `docs/runbook/slo_report.md`.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import dag, task
from airflow.sdk.exceptions import AirflowFailException

from instrument_cache_airflow.report_forms import slo_form
from instrument_cache_airflow.schedules import schedule_of


@dag(
    schedule=schedule_of("slo_report", "10 6 * * *"),
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(hours=1),
    doc_md=__doc__,
    tags=["report", "tier:3"],
    params=slo_form(),
    default_args={
        "owner": "market-data",
        "retries": 2,
        "retry_delay": timedelta(seconds=30),
        "retry_exponential_backoff": 2,
        "max_retry_delay": timedelta(minutes=5),
    },
)
def slo_report() -> None:
    @task(execution_timeout=timedelta(minutes=5))
    def assess(params: Any = None, run_id: Any = None) -> dict[str, Any]:
        from instrument_cache.slo.service import SloReports
        from instrument_cache_airflow.told import told

        return told(SloReports().run(run_id, params["window_days"]))

    @task(execution_timeout=timedelta(minutes=1))
    def judge(report: Any) -> str:
        if not report["ok"]:
            raise AirflowFailException(report["sentence"])
        return str(report["sentence"])

    judge(assess())


slo_report()
