"""What the pod of a run reported."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow.sdk.exceptions import AirflowFailException

from instrument_cache.settings import environment

if TYPE_CHECKING:
    from instrument_cache.reports import Summary


def summary_of(operation: str, run_id: str) -> Summary:
    """The newest report of an operation, which must be that run's. Raises AirflowFailException."""
    from instrument_cache.connections import redis_client
    from instrument_cache.reports import newest
    from instrument_cache.settings import redis_url

    env = environment()
    found = newest(redis_client(redis_url(env), name="report"), env.text("ICACHE_DATASET", "instruments"), operation)
    if found is None or found.run_id != run_id:
        raise AirflowFailException(
            f"There is no report of {run_id}: Redis lost it, or another run of {operation} followed."
        )
    return found
