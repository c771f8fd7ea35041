"""The watchdog's one task: start the launch again if the stream should run and nothing sees to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator

from instrument_cache_airflow import desired_state
from instrument_cache_airflow.job_watch import has_been_missing
from instrument_cache_airflow.launchers import stream_launchers
from instrument_cache_airflow.launches import active_runs, launching_runs
from instrument_cache_airflow.settings import watch_settings, watchdog_missing_s

if TYPE_CHECKING:
    from airflow.sdk import Context


class RelaunchStreamOperator(TriggerDagRunOperator):
    """Triggers `trigger_dag_id` when it is needed, and says why in the run's note and conf.

    It decides from what is, not from what happened: a run that it missed or that failed is made up for a minute later.
    """

    operator_extra_links = []  # noqa: RUF012 - the inherited link logs an error in each of the many runs that trigger nothing

    def __init__(self, *, watch_task_id: str, **kwargs: Any) -> None:
        # One run id per minute of the watchdog: a second try of this task cannot start a second run.
        run_id = "watchdog__{{ dag_run.run_after.isoformat() }}"
        super().__init__(trigger_run_id=run_id, skip_when_already_exists=True, **kwargs)
        self.watch_task_id = watch_task_id

    def execute(self, context: Context) -> None:
        """Raises Airflow's own signal to trigger a run, or returns."""
        needed, why = self._decide(context["ti"])
        if not needed:
            self.log.info("Nothing to do: %s.", why)
            return
        self.log.warning("Starting %s: %s.", self.trigger_dag_id, why)
        self.conf = {"asked_by": desired_state.WATCHDOG, "reason": why}
        self.note = f"Started by the watchdog: {why}."
        super().execute(context)

    def _decide(self, ti: Any) -> tuple[bool, str]:
        if desired_state.is_stopped():
            return False, "the stream is stopped on purpose"
        if ti.get_dag(self.trigger_dag_id).is_paused:
            return False, f"{self.trigger_dag_id} is paused"
        if active_runs(ti, self.trigger_dag_id) == 0:
            return True, "the stream should run and no run sees to it"
        if self._is_launching(ti):
            return False, "a launch is under way"
        if self._job_is_missing() and not self._is_launching(ti):
            return True, "the job is missing and the run that watches it has not noticed (does the triggerer run?)"
        return False, "the stream is watched"

    def _is_launching(self, ti: Any) -> bool:
        return launching_runs(ti, self.trigger_dag_id, self.watch_task_id) > 0

    def _job_is_missing(self) -> bool:
        from instrument_cache.flink_rest import FlinkRest, stream_job_name_prefix

        settings = watch_settings()
        with FlinkRest(settings.flink_url) as flink:
            prefix, launchers = stream_job_name_prefix(settings.dataset), stream_launchers(settings.dataset)
            return has_been_missing(flink, prefix, watchdog_missing_s(), launchers)
