"""Stops the stream when a rule of the contract asks for it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator

from instrument_cache_airflow import desired_state

if TYPE_CHECKING:
    from airflow.sdk import Context


class StopStreamIfNeeded(TriggerDagRunOperator):
    """Makes "stopped" the wanted state and starts `stream_stop`, if the list `reasons` is not empty.

    The wanted state comes first: from then on the watchdog leaves the stream alone, also if nobody has time to run
    `stream_stop`.
    """

    template_fields = (*TriggerDagRunOperator.template_fields, "reasons")
    operator_extra_links = []  # noqa: RUF012 - the inherited link logs an error in each run that triggers nothing

    def __init__(self, *, reasons: Any, **kwargs: Any) -> None:
        # A second try of this task starts no second run.
        super().__init__(
            trigger_dag_id="stream_stop",
            trigger_run_id="quality__{{ run_id }}",
            skip_when_already_exists=True,
            **kwargs,
        )
        self.reasons = reasons

    def execute(self, context: Context) -> None:
        """Raises Airflow's own signal to trigger a run, or returns."""
        if not self.reasons:
            self.log.info("No critical rule is broken: the stream goes on.")
            return
        # A first try that was killed between the two steps has wanted it stopped, and stopped no job.
        if desired_state.is_stopped() and context["ti"].try_number == 1:
            self.log.warning("The stream is stopped already. Broken: %s.", self.reasons)
            return
        self.log.error("Stopping the stream, as the contract asks: %s.", self.reasons)
        desired_state.want_stopped(datetime.now(UTC))
        self.note = f"Started by data_quality: {self.reasons}"
        super().execute(context)
