"""## Purpose
Proves that the audit trail is what was chained: every report, replay and approval, in both regions, each night.

1. `settle`: chain the reports that wait because S3 was away, and bring each region the links that it lacks.
2. `verify`: read every link and every report, and name what was changed, removed, inserted or moved.
3. `report`: publish what was found, on the trail itself; red if anything is not as it was chained.

Nothing is mended by itself except what waited: somebody has to look.

## Owner
market-data

## Tier
3: readers of the cache see nothing of it; an auditor does.

## How long it takes
A quarter of a minute for each thousand reports on the trail.

## When it is red
`report`: the log names every entry and report that is not as it was chained, and how. Find out who had the keys of S3.
Anything else: a region does not answer; clear the task when it is back. See `docs/runbook/audit_verify.md`.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import dag, task
from airflow.sdk.exceptions import AirflowFailException

from instrument_cache_airflow.began import began
from instrument_cache_airflow.schedules import schedule_of


@dag(
    schedule=schedule_of("audit_verify", "20 2 * * *"),
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(hours=6),
    doc_md=__doc__,
    tags=["audit", "tier:3"],
    default_args={
        "owner": "market-data",
        "retries": 3,
        "retry_delay": timedelta(seconds=30),
        "retry_exponential_backoff": 2,
        "max_retry_delay": timedelta(minutes=5),
    },
)
def audit_verify() -> None:
    @task(execution_timeout=timedelta(minutes=30))
    def settle() -> dict[str, Any]:
        import msgspec

        from instrument_cache.audit.service import Audit

        done = Audit().settle()
        print(done.sentence)
        return dict(msgspec.to_builtins(done))

    @task(execution_timeout=timedelta(hours=2))
    def verify() -> dict[str, Any]:
        import msgspec

        from instrument_cache.audit.service import Audit

        found = Audit().verify()
        for finding in found.findings:
            print(finding)
        return dict(msgspec.to_builtins(found))

    @task(execution_timeout=timedelta(minutes=5))
    def report(ti: Any = None, run_id: Any = None, dag_run: Any = None) -> str:
        import msgspec

        from instrument_cache.audit.operation import publish_verified
        from instrument_cache.audit.service import Settled
        from instrument_cache.audit.verify import Verified
        from instrument_cache.settings import environment

        env = environment()
        settled = msgspec.convert(ti.xcom_pull(task_ids="settle"), Settled)
        found = msgspec.convert(ti.xcom_pull(task_ids="verify"), Verified)
        dataset = env.text("ICACHE_DATASET", "instruments")
        published = publish_verified(env, dataset, run_id, began(dag_run), settled, found)
        if not published.ok:
            raise AirflowFailException(published.sentence)
        return published.sentence

    settle() >> verify() >> report()


audit_verify()
