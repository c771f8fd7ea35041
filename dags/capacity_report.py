"""## Purpose
Says each week how large the cache is, how it grows, what it costs, and on which day its memory limit is reached.

1. `assess`: read the hourly samples of the last 400 days, fit a line, and write the report to S3 and its numbers to
   Redis. With too few samples it says so and forecasts nothing.
2. `judge`: turn red if the limit is reached within the form's days.

Nothing is measured here, and nothing is changed.

## Owner
market-data

## Tier
3: it looks months ahead.

## How long it takes
Some seconds.

## When it is red
`judge` is red: its last line names the day on which memory is full. `assess` is red: Redis or S3 does not answer. See
`docs/runbook/capacity_report.md`.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import dag, task
from airflow.sdk.exceptions import AirflowFailException

from instrument_cache_airflow.report_forms import capacity_form
from instrument_cache_airflow.schedules import schedule_of


@dag(
    schedule=schedule_of("capacity_report", "30 6 * * 1"),
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(hours=1),
    doc_md=__doc__,
    tags=["report", "tier:3"],
    params=capacity_form(),
    default_args={
        "owner": "market-data",
        "retries": 2,
        "retry_delay": timedelta(seconds=30),
        "retry_exponential_backoff": 2,
        "max_retry_delay": timedelta(minutes=5),
    },
)
def capacity_report() -> None:
    @task(execution_timeout=timedelta(minutes=5))
    def assess(params: Any = None, run_id: Any = None) -> dict[str, Any]:
        from instrument_cache.capacity.service import CapacityReports
        from instrument_cache_airflow.told import told

        return told(CapacityReports().run(run_id, params["horizon_days"]))

    @task(execution_timeout=timedelta(minutes=1))
    def judge(report: Any) -> str:
        if not report["ok"]:
            raise AirflowFailException(report["sentence"])
        return str(report["sentence"])

    judge(assess())


capacity_report()
