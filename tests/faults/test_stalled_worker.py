"""A Python worker that hangs while Flink says RUNNING: seen within a minute, and the job is replaced by itself."""

from __future__ import annotations

import json
import os
import re
import signal
import time

import httpx
import pytest

from local_stack.airflow_api import AirflowApi
from tests.faults.naming import NAMED_S_MAX
from tests.faults.test_doctor import red, red_on_page
from tests.faults.test_kill import workers
from tests.faults.traffic import traffic
from tests.servers import wait_until
from tests.stack import Stack

SEEN_S_MAX = 60.0
REPLACED_S_MAX = 300.0
UPTIME_S = 65.0
NAMED_BY = {"stream", "flink-job"}


@pytest.mark.timeout(900)
def test_a_worker_that_hangs_turns_the_watch_red_within_a_minute_and_is_replaced(stack: Stack) -> None:
    airflow = AirflowApi(stack.instance)
    stack.settle()
    (job,) = stack.jobs()
    watching = wait_for_the_watch(stack, airflow)
    wait_until(lambda: stack.flink.job(job).uptime_ms > UPTIME_S * 1000, 120, what="a job past its start")
    with traffic(stack, seed=1) as live:
        wait_until(lambda: live.written > 20, what="traffic")
        hung = workers(stack)[0]
        os.kill(hung, signal.SIGSTOP)
        began_s = time.monotonic()
        scraped: list[str] = []
        shown_s: list[float] = []

        def is_shown() -> bool:
            if not shown_s and ("freshness" in red_on_page(airflow, "tiles") or red_on_page(airflow) & NAMED_BY):
                shown_s.append(time.monotonic() - began_s)
            return bool(shown_s)

        def is_red() -> bool:
            scraped.append(verdict(stack))
            is_shown()
            return state(airflow, watching) == "failed"

        wait_until(is_red, SEEN_S_MAX, what="the red watch")
        print(f"red after {time.monotonic() - began_s:.1f} s")
        assert stack.flink.job(job).state == "RUNNING", "Flink knows nothing of it"
        wait_until(lambda: verdict(stack) == "stalled", 10, what=f"the verdict after {set(scraped)}")
        # The doctor looks for some ten seconds: the job may be on its way out by then.
        assert {found.part for found in red(stack)} & NAMED_BY
        wait_until(is_shown, NAMED_S_MAX, what="a page that names it")
        print(f"on the page after {shown_s[0]:.1f} s")
        assert shown_s[0] < NAMED_S_MAX
        log = airflow.task_log("stream_instruments", watching, "watch_job")
        assert re.search(rf"job {job} is RUNNING but applies nothing\. .* in partitions? [\d, ]+ since \d\d:", log), log
        assert "docs/runbook/freshness.md" in log

        wait_until(lambda: stack.job_runs() and stack.jobs() != [job], REPLACED_S_MAX, what="a new job")
        wait_until(lambda: freshness(stack) == "ok", REPLACED_S_MAX, what="a fresh cache")
        print(f"fresh again after {time.monotonic() - began_s:.1f} s")
    stack.settle()
    stack.assert_equal_to_source()
    assert live.regressions == []


def wait_for_the_watch(stack: Stack, airflow: AirflowApi) -> str:
    """The id of the run that watches the job."""

    def deferred() -> str | None:
        for run in airflow.runs("stream_instruments", "running"):
            tasks = airflow.task_instances("stream_instruments", run["dag_run_id"])
            if any(task["task_id"] == "watch_job" and task["state"] == "deferred" for task in tasks):
                return str(run["dag_run_id"])
        return None

    wait_until(deferred, 180, what="a deferred watch")
    run = deferred()
    assert run is not None
    return run


def state(airflow: AirflowApi, run_id: str) -> str:
    tasks = airflow.task_instances("stream_instruments", run_id)
    return next(str(task["state"]) for task in tasks if task["task_id"] == "watch_job")


def verdict(stack: Stack) -> str:
    """What Prometheus would see."""
    text = httpx.get(stack.instance.url("exporter") + "/metrics", timeout=5).text
    return next(found[1] for found in re.finditer(r'icache_freshness\{.*verdict="(\w+)"\} 1\.0', text))


def freshness(stack: Stack) -> str:
    """What the command line says."""
    found: dict[str, str] = json.loads(stack.cli("freshness", "--json").stdout)
    return found["verdict"]
