"""## Purpose
Puts another release of the streaming job, or another parallelism, in place of what runs; and back.

1. `order_change`: check the form against itself and against the wanted state of the stream.
2. `change_job`: a short pod stops the job with a savepoint, starts the new one from it, and watches it through its
   gate: progress, checkpoints, share of rejects, lag. What does not pass is given up, and the release before goes on.
3. `judge`: show the report, and turn red if the release was given up or refused.

The run of `stream_instruments` stays as it is: it sees a launcher at work, and watches the new job from then on.

## Owner
market-data

## Tier
2: readers see nothing of it. Instruments grow stale for the 15 to 40 s in which no job runs.

## How long it takes
90 s with the default gate; a release that is given up takes a minute more.

## When it is red
`judge` is red: the release before runs again, or nothing was touched; its last line says why. Repair the release and
start a new run. `change_job` is red: see its last line and `docs/runbook/stream_upgrade.md`.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from airflow.sdk import dag, task
from airflow.sdk.exceptions import AirflowFailException

from instrument_cache_airflow import desired_state
from instrument_cache_airflow.operators.stream_pod import stream_pod
from instrument_cache_airflow.upgrade_order import launcher_arguments, upgrade_form


@dag(
    schedule=None,
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(hours=1),
    doc_md=__doc__,
    tags=["stream", "tier:2"],
    params=upgrade_form(),
    default_args={
        "owner": "market-data",
        "retries": 3,
        "retry_delay": timedelta(seconds=10),
        "retry_exponential_backoff": 2,
        "max_retry_delay": timedelta(minutes=2),
    },
)
def stream_upgrade() -> None:
    @task(execution_timeout=timedelta(minutes=1))
    def order_change(params: Any = None, run_id: Any = None) -> list[str]:
        if desired_state.is_stopped():
            raise AirflowFailException("The stream is stopped on purpose. Start stream_instruments, then upgrade.")
        return launcher_arguments(params, run_id)

    change_job = KubernetesPodOperator(task_id="change_job", **stream_pod("upgrade", order_change()))

    @task(execution_timeout=timedelta(minutes=2))
    def judge(run_id: Any = None) -> str:
        from instrument_cache_airflow.reported import summary_of

        found = summary_of("stream_upgrade", run_id)
        if not found.ok:
            raise AirflowFailException(found.sentence)
        return found.sentence

    change_job >> judge()


stream_upgrade()
