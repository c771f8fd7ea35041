"""Takes the screenshots of this folder from a running stack: `.tools/airflow/bin/python docs/screenshots/take.py`.

It runs the operations that it shows, one after the other. It approves the restore: nothing newer is overwritten. It
takes a few instruments out of the cache, and rejects their repair and then approves it.
"""

from __future__ import annotations

import time
from pathlib import Path
from urllib.parse import quote

from playwright.sync_api import Page, sync_playwright

from instrument_cache.connections import redis_client
from local_stack.airflow_api import AirflowApi
from local_stack.instance import Instance
from local_stack.synthetic import synthetic_cusip

HERE = Path(__file__).parent
OPTIONS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]
DAG = "stream_instruments"
OPERATIONS = ("cache_backup", "cache_reconcile", "failover_drill", "dr_drill", "stream_upgrade")
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


def shoot(page: Page, url: str, wait_for: str, name: str) -> None:
    page.goto(url)
    page.get_by_text(wait_for).first.wait_for(timeout=30_000)
    page.wait_for_timeout(1500)
    page.screenshot(path=HERE / f"{name}.png")


def lookup_page(instance: Instance) -> str:
    """The page for people, with the first of the instruments that a stack without data begins with."""
    key = synthetic_cusip(0)
    return f"{instance.url('lookup')}/?dataset=instruments&by=cusip&id={key}"


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


def shoot_operations(page: Page, api: AirflowApi, airflow: str) -> None:
    for dag_id in OPERATIONS:
        run = run_operation(api, dag_id)
        shoot(page, f"{airflow}/dags/{dag_id}/runs/{run}", dag_id, f"airflow-{dag_id.replace('_', '-')}")


def shoot_reconcile(page: Page, api: AirflowApi, instance: Instance) -> None:
    """What is asked before a repair over the budget, and what becomes of either answer."""
    client = redis_client(instance.redis_url, name="screenshots")
    client.delete(*(f"instr:{synthetic_cusip(number)}" for number in range(10, 10 + DAMAGED)))
    for answer in ("Reject", "Approve"):
        run_id = api.trigger(RECONCILE, "by hand, for its picture", {"budget": 0})
        await_task(api, RECONCILE, run_id, "approve", "awaiting_input")
        at = f"{instance.url('airflow')}/dags/{RECONCILE}/runs/{quote(run_id, safe='')}"
        shoot(page, f"{at}/tasks/approve/required_actions", "Approve", "airflow-reconcile-approval")
        page.get_by_role("button", name=answer).click()
        await_end(api, RECONCILE, run_id)
        shoot(page, f"{at}/tasks/report", "keys equal", f"airflow-reconcile-{answer.lower()}")


def shoot_restore(page: Page, api: AirflowApi, airflow: str) -> None:
    """The form, and what is asked before anything is written."""
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


def main() -> None:
    instance = Instance.from_environment()
    api = AirflowApi(instance)
    run = quote(api.runs(DAG, "running")[0]["dag_run_id"], safe="")
    airflow = instance.url("airflow")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=OPTIONS)
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        log_in(page, instance)
        shoot(page, f"{airflow}/dags", "stream_watchdog", "airflow-dags")
        shoot(page, f"{airflow}/dags/{DAG}/runs/{run}", "watch_job", "airflow-stream-run")
        shoot(page, f"{airflow}/dags/{DAG}/runs/{run}/tasks/ensure_job", "job_started", "airflow-pod-log")
        shoot(page, f"{instance.url('flink')}/#/job/running", "instrument-cache.instruments.v", "flink-job")
        shoot_operations(page, api, airflow)
        shoot_reconcile(page, api, instance)
        shoot_restore(page, api, airflow)
        page.set_viewport_size({"width": 1280, "height": 1000})
        shoot(page, lookup_page(instance), "coherent with the store", "lookup-page")
        shoot(page, f"{airflow}/instrument-cache/", "At a glance", "operator-page")
        browser.close()


if __name__ == "__main__":
    main()
