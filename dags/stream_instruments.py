"""## Purpose
Launches the streaming job (Kafka → Redis) and watches it. One run stands for one life of the stream: it stays
*deferred* while the job is healthy.

1. `want_running`: remember that the stream should run.
2. `ensure_job`: a short pod makes sure that exactly one job of this version runs. It submits the job from its newest
   savepoint or retained checkpoint, or recognises the one that runs.
3. `watch_job`: wait, without a worker, until the job needs attention.

A manual run starts a stopped stream and deploys a new job version. Two runs may be active at once: else a manual run,
or the watchdog's, would queue behind the run that watches.

## Owner
market-data

## Tier
1: instruments go stale while the stream is down.

## How long it takes
To a running job 20 to 40 s. The run itself has no end: it is over when the stream was stopped (green) or lost (red).

## When it is red
Do nothing at first: `stream_watchdog` starts the next run within a minute. If runs keep failing, read the last sentence
in the log of the red task and look it up in `docs/runbook/stream_instruments.md`.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from airflow.sdk import dag, task

from instrument_cache_airflow import desired_state
from instrument_cache_airflow.operators.stream_pod import stream_pod
from instrument_cache_airflow.operators.watch_flink_job import WatchFlinkJobOperator


@dag(
    schedule=None,
    catchup=False,
    max_active_runs=2,
    doc_md=__doc__,
    tags=["stream", "tier:1"],
    default_args={
        "owner": "market-data",
        "retries": 4,
        "retry_delay": timedelta(seconds=10),
        "retry_exponential_backoff": 2,
        "max_retry_delay": timedelta(minutes=2),
    },
)
def stream_instruments() -> None:
    @task(execution_timeout=timedelta(minutes=1))
    def want_running(dag_run: Any = None) -> None:
        desired_state.want_running(dag_run.run_after, dag_run.conf)

    ensure_job = KubernetesPodOperator(task_id="ensure_job", **stream_pod("ensure"))
    watch_job = WatchFlinkJobOperator(task_id="watch_job", retries=0)  # the watchdog starts anew, from the first task

    want_running() >> ensure_job >> watch_job


stream_instruments()
