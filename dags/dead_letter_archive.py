"""## Purpose
Copies the dead letters from Kafka, which forgets them after 90 days, to S3, which does not.

1. `archive`: write what is committed in the dead-letter topic and not yet in S3, by hour and partition.

It keeps no state of its own: how far it is, is read from what lies in S3. So it may be killed, repeated or run twice at
once, and each letter is in the archive exactly once.

## Owner
market-data

## Tier
3: nothing is lost until Kafka's retention ends, 90 days later.

## How long it takes
A few seconds. About a minute for each gigabyte of letters.

## When it is red
Kafka or S3 does not answer, or an object of the archive was changed. The last line of the log says which; the next hour
tries again. See `docs/runbook/dead_letter_archive.md`.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.sdk import dag, task


@dag(
    schedule="20 * * * *",
    start_date=datetime(2025, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(minutes=55),
    doc_md=__doc__,
    tags=["dead-letters", "tier:3"],
    default_args={
        "owner": "market-data",
        "retries": 3,
        "retry_delay": timedelta(seconds=30),
        "retry_exponential_backoff": 2,
        "max_retry_delay": timedelta(minutes=5),
    },
)
def dead_letter_archive() -> None:
    @task(execution_timeout=timedelta(minutes=10))
    def archive() -> dict[str, int]:
        import msgspec

        from instrument_cache.dead_letters.service import DeadLetters

        done: dict[str, int] = msgspec.to_builtins(DeadLetters().archive_now())
        return done

    archive()


dead_letter_archive()
