"""Publishes what a run of data_quality found, shows it in the log, and is red if the form says so."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowFailException

from instrument_cache_airflow.data_docs_link import DataDocsLink, remember

if TYPE_CHECKING:
    from airflow.sdk import Context


class ReportQualityOperator(BaseOperator):
    """`order`: the task that returned what was asked for. Its button leads to the run's page."""

    operator_extra_links = (DataDocsLink(),)

    def __init__(self, *, order: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.order = order

    def execute(self, context: Context) -> dict[str, float]:
        """The report's numbers. Raises AirflowFailException, with the report's sentence, if the run is not good."""
        import msgspec

        from instrument_cache.quality.model import Order
        from instrument_cache.quality.service import Quality
        from instrument_cache.quality.words import lines

        asked = context["ti"].xcom_pull(task_ids=self.order)
        if asked is None:
            raise AirflowFailException(f"The task {self.order} did not end: its log says why.")
        quality, run_id, order = Quality(), str(context["run_id"]), msgspec.convert(asked["order"], Order)
        report = quality.report(run_id, context["dag_run"].start_date or datetime.now(UTC), order)
        remember(context, quality.link(run_id))
        for line in (*lines(quality.results.need(run_id).values()), report.details["sampling"], report.sentence):
            self.log.info("%s", line)
        if not report.ok:
            raise AirflowFailException(report.sentence)
        return report.numbers
