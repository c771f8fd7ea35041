"""## Purpose
Stops the stream on purpose, without losing anything, until `stream_instruments` is started by hand again.

1. `want_stopped`: remember that the stream should stand still. From here on the watchdog leaves it alone.
2. `stop_job`: a short pod stops the job with a savepoint, from which the next launch goes on.
3. `confirm_stopped`: ask Flink until no job of the dataset runs.

The run of `stream_instruments` then ends by itself, green.

## Owner
market-data

## Tier
2: the stream goes on if it fails, and readers see nothing of it.

## How long it takes
15 to 60 s.

## When it is red
The wanted state is *stopped* already, but the job may still run. Run `stream_stop` again; if that fails too, see
`docs/runbook/stream_stop.md`.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from airflow.sdk import dag, task

from instrument_cache_airflow import desired_state
from instrument_cache_airflow.operators.stream_pod import stream_pod
from instrument_cache_airflow.settings import watch_settings


@dag(
    schedule=None,
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(minutes=30),
    doc_md=__doc__,
    tags=["stream", "tier:2"],
    default_args={
        "owner": "market-data",
        "retries": 3,
        "retry_delay": timedelta(seconds=10),
        "retry_exponential_backoff": 2,
        "max_retry_delay": timedelta(minutes=2),
    },
)
def stream_stop() -> None:
    @task(execution_timeout=timedelta(minutes=1))
    def want_stopped() -> None:
        desired_state.want_stopped(datetime.now(UTC))

    stop_job = KubernetesPodOperator(task_id="stop_job", **stream_pod("stop"))

    @task(execution_timeout=timedelta(minutes=2))
    def confirm_stopped() -> str:
        from instrument_cache.flink_rest import FlinkRest, stream_job_name_prefix
        from instrument_cache_airflow.job_watch import wait_until_stopped

        settings = watch_settings()
        with FlinkRest(settings.flink_url) as flink:
            return str(wait_until_stopped(flink, stream_job_name_prefix(settings.dataset), timeout_s=60))

    want_stopped() >> stop_job >> confirm_stopped()


stream_stop()
