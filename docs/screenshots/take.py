"""Takes the screenshots of this folder from a running stack: `.tools/airflow/bin/python docs/screenshots/take.py`."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

from playwright.sync_api import Page, sync_playwright

from local_stack.airflow_api import AirflowApi
from local_stack.instance import Instance
from local_stack.synthetic import synthetic_cusip

HERE = Path(__file__).parent
OPTIONS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]
DAG = "stream_instruments"


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


def main() -> None:
    instance = Instance.from_environment()
    run = quote(AirflowApi(instance).runs(DAG, "running")[0]["dag_run_id"], safe="")
    airflow = instance.url("airflow")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=OPTIONS)
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        log_in(page, instance)
        shoot(page, f"{airflow}/dags", "stream_watchdog", "airflow-dags")
        shoot(page, f"{airflow}/dags/{DAG}/runs/{run}", "watch_job", "airflow-stream-run")
        shoot(page, f"{airflow}/dags/{DAG}/runs/{run}/tasks/ensure_job", "job_started", "airflow-pod-log")
        shoot(page, f"{instance.url('flink')}/#/job/running", "instrument-cache.instruments.v", "flink-job")
        page.set_viewport_size({"width": 1280, "height": 1000})
        shoot(page, lookup_page(instance), "coherent with the store", "lookup-page")
        browser.close()


if __name__ == "__main__":
    main()
