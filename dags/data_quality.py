"""## Purpose
Holds the data against what its contract expects: types, formats, check digits, ranges, keys that are there once, and
against what the last good run looked like. Each hour on the cache and the source, and on each new backup.

1. `check`: judge every record of each input with Great Expectations, and keep what was found in S3.
2. `stop_stream`: stop the stream if a rule is broken whose severity is *critical*; else nothing.
3. `report`: publish report and page (button *Data Docs*), and show each broken rule with ten samples in the log.

It writes nothing to the cache. Killed and tried again, it goes on with the inputs that it has not judged.

## Owner
market-data

## Tier
2: readers get what the cache holds, also what breaks a rule.

## How long it takes
A minute or two for a million records, of which 10 s are the start of Great Expectations.

## When it is red
A rule of severity *error* or worse is broken, or an input could not be read. The last lines of the log of `report` name
each rule with samples. If the stream was stopped, it stays so until `stream_instruments` is started by hand. See
`docs/runbook/data_quality.md`.
"""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Any

from airflow.sdk import dag, get_current_context, task
from airflow.timetables.assets import AssetOrTimeSchedule

from instrument_cache_airflow.assets import BACKUP
from instrument_cache_airflow.operators.report_quality import ReportQualityOperator
from instrument_cache_airflow.operators.stop_stream import StopStreamIfNeeded
from instrument_cache_airflow.quality_form import order_of, quality_form
from instrument_cache_airflow.schedules import schedule_of


@dag(
    schedule=AssetOrTimeSchedule(
        timetable=schedule_of("data_quality", "35 * * * *"),
        assets=[BACKUP],  # type: ignore[list-item] # its annotation is the one of Airflow's server
    ),
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(hours=1),
    doc_md=__doc__,
    tags=["cache", "quality", "tier:2"],
    params=quality_form(),
    default_args={
        "owner": "market-data",
        "retries": 2,
        "retry_delay": timedelta(seconds=15),
        "retry_exponential_backoff": 2,
        "max_retry_delay": timedelta(minutes=2),
    },
)
def data_quality() -> None:
    @task(execution_timeout=timedelta(minutes=15))
    def check(run_id: Any = None, params: Any = None) -> dict[str, Any]:
        import msgspec

        from instrument_cache.quality.service import Quality
        from instrument_cache.quality.words import stops

        os.nice(10)  # whoever reads comes first
        context = get_current_context()
        order = order_of(params, by_backup=bool(context["triggering_asset_events"]))
        is_last_try = context["ti"].try_number > context["ti"].max_tries
        results = Quality().check(run_id, order, patient=not is_last_try)
        return {"order": msgspec.to_builtins(order), "stop": stops(results.values())}

    stop_stream = StopStreamIfNeeded(
        task_id="stop_stream",
        reasons="{{ ti.xcom_pull(task_ids='check')['stop'] | join(', ') }}",
        execution_timeout=timedelta(minutes=2),
    )
    # Also if the stream could not be stopped: then the run is red for that, and still says why it should stop.
    report = ReportQualityOperator(
        task_id="report", order="check", trigger_rule="all_done", execution_timeout=timedelta(minutes=5)
    )

    check() >> stop_stream >> report


data_quality()
