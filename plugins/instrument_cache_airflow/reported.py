"""What the pod of a run reported."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow.sdk.exceptions import AirflowFailException

from instrument_cache.settings import environment

if TYPE_CHECKING:
    from instrument_cache.reports import Summary


def summary_of(operation: str, run_id: str) -> Summary:
    """The newest report of an operation, which must be that run's. Raises AirflowFailException.

    The pod has no signatures, so its report is chained on the audit trail here.
    """
    from instrument_cache.connections import redis_client
    from instrument_cache.reports import chain_run, newest
    from instrument_cache.settings import redis_url

    env = environment()
    dataset = env.text("ICACHE_DATASET", "instruments")
    found = newest(redis_client(redis_url(env), name="report"), dataset, operation)
    if found is None or found.run_id != run_id:
        raise AirflowFailException(
            f"There is no report of {run_id}: Redis lost it, or another run of {operation} followed."
        )
    chain_run(env, dataset, operation, run_id)
    return found
