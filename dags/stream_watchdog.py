"""## Purpose
Brings the stream back. Each minute it compares what should be with what is, and starts `stream_instruments` if

- the stream should run and no run of `stream_instruments` is queued or running, or
- the job is missing for a minute although a run watches it (the triggerer is away).

It leaves the stream alone when it was stopped on purpose (`stream_stop`, or the Airflow Variable
`stream_instruments_desired` is `stopped`) and while `stream_instruments` is paused. If that Variable was never set, the
stream should run: pausing is how a fresh deployment keeps it still.

## Owner
market-data

## Tier
1: without it a lost stream stays lost until somebody looks.

## How long it takes
A second or two; up to 90 s when it makes sure that the job is missing.

## When it is red
One red run does no harm, the next follows within a minute. If it stays red, nothing brings the stream back: see
`docs/runbook/stream_watchdog.md`.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.sdk import dag

from instrument_cache_airflow.operators.relaunch_stream import RelaunchStreamOperator


@dag(
    schedule="* * * * *",
    start_date=datetime(2025, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(minutes=5),
    doc_md=__doc__,
    tags=["stream", "tier:1"],
    default_args={"owner": "market-data", "retries": 0},  # the next minute is the next try
)
def stream_watchdog() -> None:
    RelaunchStreamOperator(
        task_id="relaunch_stream",
        trigger_dag_id="stream_instruments",
        watch_task_id="watch_job",
        execution_timeout=timedelta(minutes=3),
    )


stream_watchdog()
