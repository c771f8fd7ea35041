"""The links beside a task in Airflow: to Flink, to the report of its run, and to the operator's page."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import quote, urlsplit

from airflow.configuration import conf
from airflow.sdk import BaseOperatorLink

from instrument_cache.settings import environment
from instrument_cache_airflow.page.lazy import PREFIX

_STREAM: Final = "stream_"
# DAGs that publish a report, and under which name.
REPORTED: Final = {
    "cache_reconcile": "reconcile",
    "cache_backup": "backup",
    "cache_restore": "restore",
    "stream_upgrade": "stream_upgrade",
    "failover_drill": "failover_drill",
    "dr_drill": "dr_drill",
    "data_quality": "data_quality",
    "slo_report": "slo_report",
    "capacity_report": "capacity_report",
    "readiness_score": "readiness_score",
    "dead_letter_replay": "dead_letter_replay",
    "retention": "retention",
    "audit_verify": "audit_verify",
    "secret_rotation": "secret_rotation",
}


def page_address() -> str:
    """Where the operator's page begins, below Airflow's own address."""
    return urlsplit(conf.get("api", "base_url", fallback="")).path.rstrip("/") + PREFIX


class FlinkLink(BaseOperatorLink):
    """Flink's page, of tasks that have to do with the job."""

    name = "Flink"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        """ "" of other tasks: Airflow then shows no link."""
        if not ti_key.dag_id.startswith(_STREAM):
            return ""
        return environment().text("ICACHE_FLINK_URL", "http://127.0.0.1:8081")


class ReportLink(BaseOperatorLink):
    """The report of the run; for data quality it leads on to the Data Docs."""

    name = "Report"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        """ "" of operations without a report: Airflow then shows no link."""
        operation = REPORTED.get(ti_key.dag_id)
        return f"{page_address()}/runs/{operation}/{quote(ti_key.run_id, safe='')}" if operation else ""


class PageLink(BaseOperatorLink):
    """The page that says how everything is."""

    name = "Overview"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        return f"{page_address()}/"
