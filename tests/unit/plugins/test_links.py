"""The links beside a task: there where they lead somewhere, and nothing an id holds gets out of its place."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from instrument_cache.reports import OPERATIONS
from instrument_cache_airflow.page.links import REPORTED, FlinkLink, PageLink, ReportLink


def key(dag_id: str, run_id: str = "run-1") -> Any:
    return SimpleNamespace(dag_id=dag_id, task_id="report", run_id=run_id)


def test_flink_beside_the_stream_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ICACHE_FLINK_URL", "http://flink:8081")
    assert FlinkLink().get_link(None, ti_key=key("stream_watchdog")) == "http://flink:8081"
    assert FlinkLink().get_link(None, ti_key=key("cache_backup")) == ""


def test_the_report_of_the_run() -> None:
    address = "/instrument-cache/runs/reconcile/"
    assert ReportLink().get_link(None, ti_key=key("cache_reconcile")) == f"{address}run-1"
    hostile = ReportLink().get_link(None, ti_key=key("cache_reconcile", "../<script>"))
    assert hostile == f"{address}..%2F%3Cscript%3E"
    assert ReportLink().get_link(None, ti_key=key("stream_watchdog")) == ""
    assert PageLink().get_link(None, ti_key=key("any")) == "/instrument-cache/"


def test_operations_that_publish_a_report_are_known() -> None:
    assert {"reconcile", "backup", "restore", "stream_upgrade", "failover_drill", "dr_drill"} <= set(REPORTED.values())
    assert set(REPORTED.values()) - {"data_quality"} <= set(OPERATIONS)
