"""## Purpose
Copies the cache to object storage in two regions, each quarter of an hour, and proves each copy: it counts as good only
after it was restored into a Redis of its own and compared key by key.

1. `protect`: lengthens the lock of the newest good backup, before a newer one is there.
2. `export`: reads the dataset's keys out of the live Redis and writes them to both regions, the signed manifest last.
3. `verify`: restores it from one region and compares it with the copy of the other.
4. `mark_good`: signs that it is good. Only then is it offered for a restore.
5. `fill_regions`: gives each region the good backups that it missed while it was away.
6. `retention`: removes what is too old or too much. The newest good one stays, whatever its age.
7. `report`: publishes what came of it. It is red if anything is missing, also if only one region has the backup.

A run has one backup: killed and tried again at any line, it ends with the same.

## Owner
market-data

## Tier
1: without it a lost cache comes back only as fast as its source gives it.

## How long it takes
Under a minute for a million keys; a few seconds for thousands. 5 s of it Redis waits before it makes its own snapshot.

## When it is red
The log of `report` says in one sentence what is missing. The next run tries again, and fills what a region missed. See
`docs/runbook/cache_backup.md`.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import Param, dag, get_current_context, task

from instrument_cache_airflow.assets import BACKUP, CACHE
from instrument_cache_airflow.schedules import schedule_of


@dag(
    schedule=schedule_of("cache_backup", "*/15 * * * *"),
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(minutes=60),
    doc_md=__doc__,
    tags=["cache", "backup", "tier:1"],
    params={
        "accept_smaller": Param(
            False,
            type="boolean",
            title="Accept a smaller backup",
            description="Let it become good although it holds much less than the one before.",
        ),
        "deep": Param(
            False,
            type="boolean",
            title="Check all copies",
            description="Read every good backup in every region, and mend what is damaged.",
        ),
    },
    default_args={
        "owner": "market-data",
        "retries": 3,
        "retry_delay": timedelta(seconds=15),
        "retry_exponential_backoff": 2,
        "max_retry_delay": timedelta(minutes=2),
    },
)
def cache_backup() -> None:
    @task(execution_timeout=timedelta(minutes=5))
    def protect() -> dict[str, Any]:
        from instrument_cache_airflow import backup_steps

        return backup_steps.protect()

    @task(execution_timeout=timedelta(minutes=15), inlets=[CACHE])
    def export() -> dict[str, Any]:
        from instrument_cache_airflow import backup_steps

        return backup_steps.export(get_current_context())

    @task(execution_timeout=timedelta(minutes=15))
    def verify() -> dict[str, Any]:
        from instrument_cache_airflow import backup_steps

        return backup_steps.verify(get_current_context())

    @task(execution_timeout=timedelta(minutes=5), outlets=[BACKUP])
    def mark_good() -> list[str]:
        from instrument_cache_airflow import backup_steps

        return backup_steps.mark_good(get_current_context())

    @task(execution_timeout=timedelta(minutes=30))
    def fill_regions() -> dict[str, Any]:
        from instrument_cache_airflow import backup_steps

        return backup_steps.fill_regions(get_current_context())

    @task(execution_timeout=timedelta(minutes=10))
    def retention() -> dict[str, Any]:
        from instrument_cache_airflow import backup_steps

        return backup_steps.retention(get_current_context())

    # Also of a run that failed: then it says where.
    @task(execution_timeout=timedelta(minutes=5), trigger_rule="all_done", retries=1)
    def report() -> str:
        from instrument_cache_airflow import backup_steps

        return backup_steps.report(get_current_context())

    protect() >> export() >> verify() >> mark_good() >> fill_regions() >> retention() >> report()


cache_backup()
