"""## Purpose
Starts `cache_reconcile` when the stream or the feed tells of a gap, without waiting for the hour. A gap is

- an offset of the log that was passed over and never accounted, or
- deletes that the feed held back, because a snapshot of the source lacked too many rows.

The run's id names the gap, so that the same gap starts one run. It does nothing while `cache_reconcile` is paused.

## Owner
market-data

## Tier
3: without it a gap waits for the next hour.

## How long it takes
A few seconds; longer while the account has holes, as the log behind the first of them is read.

## When it is red
Redis or Kafka does not answer. One red run does no harm, the next follows in ten minutes. See
`docs/runbook/reconcile_after_gap.md`.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.sdk import dag

from instrument_cache_airflow.operators.reconcile_after_gap import ReconcileAfterGap


@dag(
    schedule="*/10 * * * *",
    start_date=datetime(2025, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(minutes=10),
    doc_md=__doc__,
    tags=["cache", "tier:3"],
    default_args={"owner": "market-data", "retries": 0},  # the next run is the next try
)
def reconcile_after_gap() -> None:
    ReconcileAfterGap(task_id="look_for_gaps", trigger_dag_id="cache_reconcile", execution_timeout=timedelta(minutes=5))


reconcile_after_gap()
