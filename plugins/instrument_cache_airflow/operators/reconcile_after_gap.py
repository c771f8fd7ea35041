"""Starts a reconciliation for each gap that the account or the feed tells about, and no second one for the same gap."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator

from instrument_cache.settings import environment

if TYPE_CHECKING:
    from airflow.sdk import Context


class ReconcileAfterGap(TriggerDagRunOperator):
    """Triggers `trigger_dag_id` under a run id that names the gaps, so that each is looked into once."""

    operator_extra_links = []  # noqa: RUF012 - the inherited link logs an error in each of the many runs that trigger nothing

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(skip_when_already_exists=True, **kwargs)

    def execute(self, context: Context) -> None:
        """Raises Airflow's own signal to trigger a run, or returns."""
        gap = self._gap()
        if not gap:
            self.log.info("Nothing to do: there is no gap.")
        elif context["ti"].get_dag(self.trigger_dag_id).is_paused:
            self.log.warning("There is a gap (%s), but %s is paused.", gap, self.trigger_dag_id)
        else:
            self.log.warning("Starting %s: there is a gap (%s).", self.trigger_dag_id, gap)
            self.trigger_run_id = f"gap__{gap}"
            self.note = f"Started because of a gap: {gap}."
            super().execute(context)

    def _gap(self) -> str:
        from instrument_cache.connections import redis_client
        from instrument_cache.feed_state import read_feed_state
        from instrument_cache.reconcile.gaps import find_gaps
        from instrument_cache.settings import redis_url
        from instrument_cache.store.redis import RedisStore

        env = environment()
        dataset, path = env.text("ICACHE_DATASET", "instruments"), env.variables.get("ICACHE_FEED_STATE_FILE")
        store = RedisStore(redis_client(redis_url(env), name="gaps"), dataset)
        feed = read_feed_state(Path(path)) if path else None
        return find_gaps(store, env.text("ICACHE_KAFKA_BOOTSTRAP"), dataset, feed)
