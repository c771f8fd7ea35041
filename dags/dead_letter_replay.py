"""## Purpose
Writes dead letters back to the change topic, where the job judges them anew. Started by hand, with a form; a dry run
unless the form says otherwise.

1. `plan`: judge every letter that the form names, against the rules and the store as they are now. Nothing is written.
2. `approve`: ask a person, if more records would be written than the form's limit; else go on at once.
3. `replay`: write the planned records, no faster than the form says, and wait for what becomes of each.
4. `report`: publish what was planned and done, also if it was refused; red if a letter is left open.

Only a record that the store would take is written. Each task may be killed and tried again: what a try has settled is
passed over by the next one.

## Owner
market-data

## Tier
3: the letters stay where they are until somebody replays them.

## How long it takes
A few seconds, then the records at the rate of the form, and up to a minute until the job has settled them. An approval
waits for 12 hours.

## When it is red
`plan`: the filter or the patch cannot be used; the log says why. `report`: letters are left open; the log lists them by
outcome. Anything else: Kafka, Redis or S3 is away; clear the task when it is back. See
`docs/runbook/dead_letter_replay.md`.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import dag, task
from airflow.sdk.exceptions import AirflowFailException

from instrument_cache_airflow import replay_form as form
from instrument_cache_airflow.operators.approve_if_needed import ApproveIfNeeded


@dag(
    schedule=None,
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(hours=24),
    doc_md=__doc__,
    tags=["dead-letters", "tier:3"],
    params=form.replay_form(),
    default_args={
        "owner": "market-data",
        "retries": 3,
        "retry_delay": timedelta(seconds=10),
        "retry_exponential_backoff": 2,
        "max_retry_delay": timedelta(minutes=2),
    },
)
def dead_letter_replay() -> None:
    @task(execution_timeout=timedelta(minutes=15))
    def plan(params: Any = None, run_id: Any = None, dag_run: Any = None) -> dict[str, Any]:
        import msgspec

        from instrument_cache.dead_letters.operation import ReplayOperation

        with form.refusals_end_it():
            made = ReplayOperation().plan(form.asked(params, run_id, dag_run))
        print(made.sentence)
        return {"planned": msgspec.to_builtins(made), "sentence": made.sentence, "reasons": made.reasons}

    approve = ApproveIfNeeded(
        task_id="approve",
        reasons="{{ ti.xcom_pull(task_ids='plan')['reasons'] | join('\n') }}",
        subject="Replay {{ ti.xcom_pull(task_ids='plan')['planned']['to_write'] }} dead letters?",
        body="{{ ti.xcom_pull(task_ids='plan')['sentence'] }}\n\n"
        "Asked for: {{ ti.xcom_pull(task_ids='plan')['planned']['asked'] }}",
        defaults="Reject",
        response_timeout=timedelta(hours=12),
        retries=0,
    )

    @task(execution_timeout=timedelta(hours=6))
    def replay(ti: Any = None) -> dict[str, Any]:
        import msgspec

        from instrument_cache.dead_letters.operation import ReplayOperation

        return dict(msgspec.to_builtins(ReplayOperation().replay(form.planned(ti))))

    @task(execution_timeout=timedelta(minutes=5), trigger_rule="none_failed")
    def report(ti: Any = None) -> str:
        from instrument_cache.dead_letters.operation import ReplayOperation

        published = ReplayOperation().publish(form.planned(ti), form.done(ti))
        print(published.sentence)
        if not published.ok:
            raise AirflowFailException(published.sentence)
        return published.sentence

    plan() >> approve >> replay() >> report()


dead_letter_replay()
