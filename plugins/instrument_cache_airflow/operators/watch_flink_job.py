"""The operator that stands for the running stream: deferred while all is well."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowFailException

from instrument_cache_airflow import desired_state
from instrument_cache_airflow.job_watch import look
from instrument_cache_airflow.launches import active_runs, launching_runs
from instrument_cache_airflow.settings import WatchSettings, watch_settings
from instrument_cache_airflow.triggers.flink_job import FlinkJobTrigger

if TYPE_CHECKING:
    from airflow.sdk import Context

NEXT = "The watchdog starts the launch again within a minute."


class WatchFlinkJobOperator(BaseOperator):
    """Defers at once and takes no worker while the job is healthy.

    It fails when the job needs a new launch, and never retries: the watchdog does that. It succeeds when the stream was
    stopped on purpose, or when a newer launch took over. A job that an upgrade put in place of the one before is
    watched from then on.
    """

    def execute(self, context: Context) -> None:
        """Note which job was launched and hand over to the triggerer."""
        self._watch()

    def _watch(self) -> None:
        settings = watch_settings()
        trigger = FlinkJobTrigger(job_id=_job_id(settings), **asdict(settings))
        self.defer(trigger=trigger, method_name="report")

    def report(self, context: Context, event: dict[str, Any]) -> None:
        """Say what the trigger saw."""
        if desired_state.is_stopped():
            self.log.info("The stream was stopped on purpose. %s", event["message"])
        elif event["kind"] == "replaced" and active_runs(context["ti"], self.dag_id) > 1:
            self.log.info("%s A newer run watches it.", event["message"])
        elif event["kind"] == "replaced":
            self.log.info("%s It was upgraded, and is watched from here on.", event["message"])
            self._watch()
        elif launching_runs(context["ti"], self.dag_id, self.task_id) > 0:
            self.log.info("A newer run is launching the job. %s", event["message"])
        else:
            raise AirflowFailException(f"{event['message']} {NEXT}")


def _job_id(settings: WatchSettings) -> str | None:
    """The one job that runs now; None if that is not clear, then the trigger takes the first that it sees."""
    from instrument_cache.flink_rest import FlinkRest, stream_job_name_prefix

    with FlinkRest(settings.flink_url) as flink:
        running = look(flink, stream_job_name_prefix(settings.dataset)).running
    return running[0].job_id if len(running) == 1 else None
