"""Takes the screenshots of this folder from a running stack: `.tools/airflow/bin/python docs/screenshots/take.py`.

Behind it may stand what is wanted: stream, operations, reports, reconcile, restore, pages; else it takes all. It runs
the operations that it shows, one after the other. It approves the restore: nothing newer is overwritten. It takes a few
instruments out of the cache, and rejects their repair and then approves it.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

from playwright.sync_api import Page, sync_playwright
from playwright.sync_api import TimeoutError as PlaywrightTimeout

from instrument_cache.connections import redis_client
from local_stack.airflow_api import AirflowApi
from local_stack.instance import Instance

HERE = Path(__file__).parent
OPTIONS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]
DAG = "stream_instruments"
OPERATIONS = ("cache_backup", "cache_reconcile", "failover_drill", "dr_drill", "stream_upgrade", "secret_rotation")
# Each ends with a report; readiness last, for it asks for the others.
REPORTS = (
    *("data_quality", "audit_verify", "retention", "slo_report", "capacity_report", "secret_rotation"),
    "readiness_score",
)
RESTORE = "cache_restore"
RECONCILE = "cache_reconcile"
DAMAGED = 5
ENDED = ("success", "failed")
RUN_S_MAX = 600.0


def log_in(page: Page, instance: Instance) -> None:
    page.goto(instance.url("airflow"))
    page.get_by_label("Username").fill("admin")
    page.get_by_label("Password").fill(instance.secret("airflow_password"))
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/", timeout=30_000)


def shoot(page: Page, url: str, wait_for: str, name: str, *, full: bool = False) -> None:
    page.goto(url)
    try:
        page.get_by_text(wait_for).first.wait_for(timeout=30_000)
    except PlaywrightTimeout:  # such as a log that was asked for before its task had closed it
        page.reload()
        page.get_by_text(wait_for).first.wait_for(timeout=30_000)
    page.wait_for_timeout(1500)
    page.screenshot(path=HERE / f"{name}.png", full_page=full)


def some_keys(instance: Instance, count: int) -> list[str]:
    """CUSIPs of the first instruments of the cache."""
    client = redis_client(instance.redis_url, name="screenshots")
    found = sorted(key.decode().removeprefix("instr:") for key in client.scan_iter(match="instr:*", count=1000))
    return found[:count]


def lookup_page(instance: Instance) -> str:
    """The page for people, with an instrument."""
    return f"{instance.url('lookup')}/?dataset=instruments&by=cusip&id={some_keys(instance, 1)[0]}"


def run_operation(api: AirflowApi, dag_id: str) -> str:
    """Run an operation to its end, and return the id of the run."""
    run_id = api.trigger(dag_id, "by hand, for its picture")
    await_end(api, dag_id, run_id)
    return quote(run_id, safe="")


def await_end(api: AirflowApi, dag_id: str, run_id: str) -> None:
    """Wait until the run has ended."""
    deadline_s = time.monotonic() + RUN_S_MAX
    while run_id not in {run["dag_run_id"] for run in api.runs(dag_id, *ENDED)}:
        if time.monotonic() > deadline_s:
            raise SystemExit(f"{dag_id} did not end within {RUN_S_MAX:.0f} s")
        time.sleep(2)


def await_task(api: AirflowApi, dag_id: str, run_id: str, task_id: str, state: str) -> None:
    """Wait until a task is in that state."""
    deadline_s = time.monotonic() + RUN_S_MAX
    while (task_id, state) not in {(t["task_id"], t["state"]) for t in api.task_instances(dag_id, run_id)}:
        if time.monotonic() > deadline_s:
            raise SystemExit(f"{task_id} of {dag_id} was not {state} within {RUN_S_MAX:.0f} s")
        time.sleep(2)


def shoot_stream(page: Page, api: AirflowApi, instance: Instance) -> None:
    """The list of DAGs, the run that watches the job, and the job."""
    airflow, run = instance.url("airflow"), quote(api.runs(DAG, "running")[0]["dag_run_id"], safe="")
    shoot(page, f"{airflow}/dags", "stream_watchdog", "airflow-dags")
    shoot(page, f"{airflow}/dags/{DAG}/runs/{run}", "watch_job", "airflow-stream-run")
    shoot(page, f"{airflow}/dags/{DAG}/runs/{run}/tasks/ensure_job", "job_started", "airflow-pod-log")
    shoot(page, f"{instance.url('flink')}/#/job/running", "instrument-cache.instruments.v", "flink-job")


def shoot_operations(page: Page, api: AirflowApi, instance: Instance) -> None:
    for dag_id in OPERATIONS:
        run = run_operation(api, dag_id)
        name = f"airflow-{dag_id.replace('_', '-')}"
        shoot(page, f"{instance.url('airflow')}/dags/{dag_id}/runs/{run}", dag_id, name)


def shoot_reports(page: Page, api: AirflowApi, instance: Instance) -> None:
    """What each of these operations came to, as the operator's page shows it; of quality its Data Docs too."""
    airflow = instance.url("airflow")
    for dag_id in REPORTS:
        run, name = run_operation(api, dag_id), dag_id.replace("_", "-")
        shoot(page, f"{airflow}/instrument-cache/runs/{dag_id}/{run}", f"Report of {dag_id}", f"report-{name}")
        if dag_id == "data_quality":
            page.get_by_role("link", name="Data Docs").click()
            page.get_by_text("Data quality of").first.wait_for(timeout=30_000)
            page.screenshot(path=HERE / "data-docs.png", full_page=True)
    shoot(page, f"{airflow}/dag_runs", "data_quality", "airflow-runs")


def shoot_reconcile(page: Page, api: AirflowApi, instance: Instance) -> None:
    """What is asked before a repair over the budget, and what becomes of either answer."""
    client = redis_client(instance.redis_url, name="screenshots")
    client.delete(*(f"instr:{key}" for key in some_keys(instance, DAMAGED)))
    for answer in ("Reject", "Approve"):
        run_id = api.trigger(RECONCILE, "by hand, for its picture", {"budget": 0})
        await_task(api, RECONCILE, run_id, "approve", "awaiting_input")
        at = f"{instance.url('airflow')}/dags/{RECONCILE}/runs/{quote(run_id, safe='')}"
        shoot(page, f"{at}/tasks/approve/required_actions", "Approve", "airflow-reconcile-approval")
        page.get_by_role("button", name=answer).click()
        await_end(api, RECONCILE, run_id)
        shoot(page, f"{at}/tasks/report", "keys equal", f"airflow-reconcile-{answer.lower()}")


def shoot_restore(page: Page, api: AirflowApi, instance: Instance) -> None:
    """The form, and what is asked before anything is written."""
    airflow = instance.url("airflow")
    page.goto(f"{airflow}/dags/{RESTORE}")
    page.get_by_role("button", name="Trigger").first.click()
    page.get_by_text("As of").first.wait_for(timeout=30_000)
    page.wait_for_timeout(1500)
    page.screenshot(path=HERE / "airflow-restore-form.png")
    run_id = api.trigger(RESTORE, "by hand, for its picture")
    await_task(api, RESTORE, run_id, "approve", "awaiting_input")
    run = quote(run_id, safe="")
    shoot(
        page,
        f"{airflow}/dags/{RESTORE}/runs/{run}/tasks/approve/required_actions",
        "Approve",
        "airflow-restore-approval",
    )
    page.get_by_role("button", name="Approve").click()
    await_end(api, RESTORE, run_id)
    shoot(page, f"{airflow}/dags/{RESTORE}/runs/{run}", RESTORE, "airflow-cache-restore")


def shoot_pages(page: Page, api: AirflowApi, instance: Instance) -> None:
    """The lookup service's page for people, and the operator's."""
    page.set_viewport_size({"width": 1280, "height": 1000})
    shoot(page, lookup_page(instance), "coherent with the store", "lookup-page")
    shoot(page, f"{instance.url('airflow')}/instrument-cache/", "At a glance", "operator-page")


GROUPS: dict[str, Callable[[Page, AirflowApi, Instance], None]] = {
    "stream": shoot_stream,
    "operations": shoot_operations,
    "reports": shoot_reports,
    "reconcile": shoot_reconcile,
    "restore": shoot_restore,
    "pages": shoot_pages,
}


def main(groups: list[str]) -> None:
    if unknown := set(groups) - GROUPS.keys():
        raise SystemExit(f"there is no group {', '.join(sorted(unknown))}; there are {', '.join(GROUPS)}")
    instance = Instance.from_environment()
    api = AirflowApi(instance)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=OPTIONS)
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        log_in(page, instance)
        for group in groups or GROUPS:
            GROUPS[group](page, api, instance)
        browser.close()


if __name__ == "__main__":
    main(sys.argv[1:])
