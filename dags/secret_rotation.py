"""## Purpose
Replaces the secrets of this deployment while they are used: passwords of Redis users, keys of S3, API keys, and the
keys that sign tokens. No request fails meanwhile. Each month, or by hand with a form, which also rolls a rotation back.

1. `plan`: say how far each secret is; a dry run ends here.
2. `switch`: have each system believe a second secret beside the first, and give it to the consumers.
3. `finish`: wait until nobody needs the old secret, then take it away. If somebody still comes with it, it is good
   again at once, and the task is red.
4. `report`: publish what became of each.

Until the end of `finish` both secrets are good, so a run that was killed may be left as long as one likes. The next run
goes on where it stopped.

## Owner
market-data

## Tier
3: the secrets in use stay good.

## How long it takes
Minutes for passwords; for an API key until its client has read the new one, for a signing key until the last token has
expired. Twelve hours at most.

## When it is red
The report names each secret that is not done, and why. Nothing is broken: both secrets are good until it is mended.
See `docs/runbook/secret_rotation.md`.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import Param, dag, task
from airflow.sdk.exceptions import AirflowFailException

from instrument_cache_airflow.began import began
from instrument_cache_airflow.schedules import schedule_of


@dag(
    schedule=schedule_of("secret_rotation", "20 6 1 * *"),
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(hours=14),
    doc_md=__doc__,
    tags=["security", "tier:3"],
    params={
        "secrets": Param(
            None,
            type=["null", "array"],
            items={"type": "string", "maxLength": 200},
            maxItems=100,
            title="Secrets",
            description="Which, as ICACHE_ROTATION_SECRETS names them, one on each line: redis:default. Empty: all.",
        ),
        "dry_run": Param(False, type="boolean", title="Dry run", description="Say how far each is; change nothing."),
        "roll_back": Param(
            False,
            type="boolean",
            title="Roll back",
            description="Give consumers the old secret again and take the new one away, of what is under way.",
        ),
    },
    default_args={
        "owner": "market-data",
        "retries": 3,
        "retry_delay": timedelta(seconds=10),
        "retry_exponential_backoff": 2,
        "max_retry_delay": timedelta(minutes=5),
    },
)
def secret_rotation() -> None:
    @task(execution_timeout=timedelta(minutes=5))
    def plan(params: Any = None) -> list[str]:
        from instrument_cache.errors import SettingsError
        from instrument_cache.rotation.operation import SecretRotation

        try:
            rotation = SecretRotation()
            names = rotation.chosen(params["secrets"] or [])
        except SettingsError as error:  # it will be the same in a minute
            raise AirflowFailException(str(error)) from None
        for state in rotation.states(names):
            print(f"{state.name}: {state.sentence}")
        return [] if params["dry_run"] else names

    @task(execution_timeout=timedelta(minutes=10))
    def switch(params: Any = None, run_id: Any = None, ti: Any = None) -> dict[str, str]:
        from instrument_cache.rotation.operation import SecretRotation

        return SecretRotation().switch(ti.xcom_pull(task_ids="plan"), run_id, back=params["roll_back"])

    @task.sensor(
        mode="reschedule",
        poke_interval=15,
        timeout=timedelta(hours=12).total_seconds(),
        execution_timeout=timedelta(minutes=30),
    )
    def finish(run_id: Any = None, ti: Any = None) -> bool:
        from instrument_cache.errors import RotationError
        from instrument_cache.rotation.operation import SecretRotation

        refused = ti.xcom_pull(task_ids="switch")
        names = [name for name in ti.xcom_pull(task_ids="plan") if not refused[name]]
        try:
            waiting = SecretRotation().finish(names, run_id)
        except RotationError as error:  # to try again would disturb the same consumer again
            raise AirflowFailException(str(error)) from None
        for sentence in waiting.values():
            print(sentence)
        return not waiting

    @task(execution_timeout=timedelta(minutes=5), trigger_rule="all_done")
    def report(params: Any = None, run_id: Any = None, dag_run: Any = None, ti: Any = None) -> str:
        from instrument_cache.rotation.operation import SecretRotation

        names = ti.xcom_pull(task_ids="plan")
        if names is None:
            raise AirflowFailException("nothing was begun: the log of the task `plan` says why")
        if params["dry_run"]:
            return "dry run: the log of the task `plan` says how far each secret is"
        rotation = SecretRotation()
        looked = rotation.outcome(names, ti.xcom_pull(task_ids="switch"))
        published = rotation.publish(run_id, began(dag_run), looked, params["roll_back"])
        print(published.sentence)
        if not published.ok:
            raise AirflowFailException(published.sentence)
        return published.sentence

    plan() >> switch() >> finish() >> report()


secret_rotation()
