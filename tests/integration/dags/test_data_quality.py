"""`dag.test()` of data_quality: a real Redis, source, S3 and a real backup; its page in a real browser."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import redis
from playwright.sync_api import sync_playwright

from docs.screenshots.take import OPTIONS
from instrument_cache.backup.region import ensure_backup_buckets
from instrument_cache.backup.run import run_backup
from instrument_cache.backup.service import Backups
from instrument_cache.contract import Contract
from instrument_cache.errors import SourceUnavailable
from instrument_cache.objects import ObjectStore
from instrument_cache.quality.model import INPUTS, Order
from instrument_cache.quality.service import Quality
from instrument_cache.reconcile.expected import ExpectedMaker
from instrument_cache.reports import Report, name_of_run, newest
from instrument_cache.settings import Environment, s3_settings
from instrument_cache.source.interface import Put
from instrument_cache.source.registry import open_source
from local_stack.components.airflow import airflow_environment
from local_stack.instance import DATASET, Instance
from local_stack.synthetic import synthetic_cusip, synthetic_rows
from tests.integration.airflow_home import AirflowHome, Outcome
from tests.servers import free_port, stack_parts

ROWS = 1200
DESIRED = "stream_instruments_desired"
GREEN = {"check": "success", "stop_stream": "success", "report": "success"}
RED = GREEN | {"report": "failed"}


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    with stack_parts(tmp_path_factory.mktemp("parts"), "redis", "s3", "s3-second", "simulator") as made:
        yield made


@pytest.fixture(scope="module")
def env(instance: Instance) -> Environment:
    own = {"ICACHE_BACKUP_LOCK_HOURS": "0", "ICACHE_BACKUP_RDB": "false"}
    found = Environment({**instance.settings(), **own})
    ensure_backup_buckets(found)
    ObjectStore(s3_settings(found)).make_bucket()
    return found


@pytest.fixture(scope="module")
def home(instance: Instance, env: Environment, tmp_path_factory: pytest.TempPathFactory) -> AirflowHome:
    stack = airflow_environment(instance)
    settings = {name: stack[name] for name in stack if name.startswith("ICACHE_")} | dict(env.variables)
    airflow = AirflowHome(Path(tmp_path_factory.mktemp("airflow")), **settings)
    airflow.migrate()
    return airflow


@pytest.fixture(scope="module")
def cache(env: Environment, contract: Contract) -> redis.Redis:
    """A cache and a source that hold the same, and a backup of it."""
    client, source, maker = Quality(env).client, open_source(env=env), ExpectedMaker(contract)
    source.publish(synthetic_rows(ROWS))
    puts = (event for event in source.snapshot() if isinstance(event, Put))
    while page := list(islice(puts, 500)):
        client.mset({key: value for made in maker.of_many(page) if made for key, value in made.values.items()})
    source.close()
    run_backup(Backups(env), "backup-1", datetime.now(UTC))
    return client


def report_of(env: Environment, client: redis.Redis) -> Report:
    """The newest report, whole."""
    summary = newest(client, DATASET, "data_quality")
    assert summary is not None
    objects = ObjectStore(s3_settings(env))
    [key] = [
        key
        for key in objects.keys(f"reports/{DATASET}/data_quality/")
        if key.endswith(f"{name_of_run(summary.run_id)}.json")
    ]
    return Report(**json.loads(objects.get(key)))


def triggered(outcome: Outcome) -> list[str]:
    return [run["dag_id"] for run in outcome.runs if run["state"] == "queued"]


@pytest.mark.timeout(600)
def test_clean_data_is_green_a_fault_is_red_and_a_critical_one_stops_the_stream(
    env: Environment, home: AirflowHome, cache: redis.Redis
) -> None:
    clean = home.run_dag("data_quality", conf={"input": "all"})
    assert (clean.state, clean.tasks) == ("success", GREEN), clean.log
    report = report_of(env, cache)
    assert report.numbers["kept_ratio"] == 1
    assert [report.numbers[f"{name}_rows"] for name in ("cache", "source", "backup")] == [ROWS] * 3
    assert (triggered(clean), report.details["stop"]) == ([], [])

    for number in range(30):
        _edit(cache, number, cusip="<script>alert(1)</script>")
    cache.delete(f"instr:{synthetic_cusip(40)}")
    cache.hset(f"instr:{synthetic_cusip(40)}", "v", "1")
    cache.set(f"instr:{synthetic_cusip(41)}", cache.get(f"instr:{synthetic_cusip(41)}").replace(b'"SYN41"', b"NaN"))
    faulty = home.run_dag("data_quality", variables={DESIRED: "running"})
    assert (faulty.state, faulty.tasks) == ("failed", RED), faulty.log
    report = report_of(env, cache)
    broken = {rule["rule"]: rule for rule in report.details["inputs"]["cache"]["broken"]}
    assert set(broken) == {
        *("cusip_mostly_valid", "cusip_valid", "cusip_duplicateValues", "misplacedRecords"),
        *("unreadableRecords", "symbol_invalidValues_implied"),
    }
    assert [len(rule["samples"]) for rule in broken.values() if rule["observed"] > 10] == [10] * 3
    assert f"instr:{synthetic_cusip(40)}: another Redis type than a string" in faulty.log
    assert "CRITICAL cusip_mostly_valid: expect_column_values_to_be_of_contract_type" in faulty.log
    assert report.details["inputs"]["source"]["broken"] == []
    assert triggered(faulty) == ["stream_stop"]
    assert faulty.variables[DESIRED] == "stopped"

    _look_at_page(Quality(env).link(report.run_id))


def _edit(client: redis.Redis, number: int, **members: Any) -> None:
    key = f"instr:{synthetic_cusip(number)}"
    client.set(key, json.dumps(json.loads(client.get(key)) | members, separators=(",", ":")))


def _look_at_page(url: str) -> None:
    """As a browser without a network sees it: nothing is fetched but the page, and nothing runs."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=OPTIONS)
        context = browser.new_context(viewport={"width": 360, "height": 740}, bypass_csp=True)
        page, asked = context.new_page(), []
        page.on("request", lambda request: asked.append(request.url))
        page.on("dialog", lambda dialog: asked.append("a script ran"))
        page.goto(url)
        page.evaluate("document.querySelectorAll('details').forEach(part => part.open = true)")
        text = page.inner_text("body")
        assert asked == [url]
        assert page.locator("script").count() == 0
        assert "critical: cusip_mostly_valid" in text
        assert "<script>alert(1)</script>" in text
        assert "Every record was looked at." in text
        assert "values must match this regular expression" in text  # what Great Expectations rendered
        browser.close()


@pytest.mark.usefixtures("cache")
def test_an_input_that_is_away_is_told_and_the_others_are_judged(env: Environment) -> None:
    away = Environment({**env.variables, "ICACHE_SOURCE_URL": f"sow+http://127.0.0.1:{free_port()}/instruments"})
    quality, order = Quality(away), Order(INPUTS, sample_percent=50, fail_on="never")
    with pytest.raises(SourceUnavailable):
        quality.check("away", order, patient=True)
    assert set(quality.results.load("away")) == {"cache", "backup"}

    quality.check("away", order)
    report = quality.report("away", datetime.now(UTC), order)
    assert (report.ok, report.numbers["unreadable_inputs"]) == (False, 1)
    assert "The source could not be read" in report.sentence
    assert report.details["inputs"]["backup"]["what"] == Backups(env).catalog.newest_good().name
    assert report.details["inputs"]["backup"]["broken"] == []
    assert "Only 50 % of the records were looked at" in report.details["sampling"]
    assert "It could not be read" in quality.results.page("away")
