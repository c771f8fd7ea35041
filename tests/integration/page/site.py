"""The page as users see it, and the states that it is brought into."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

import httpx
import msgspec
import redis
from confluent_kafka import Producer
from playwright.sync_api import Browser, Page

from instrument_cache.backup.service import Backups
from instrument_cache.canary import stored_key
from instrument_cache.connections import redis_client
from instrument_cache.kafka import topic_spans
from instrument_cache.objects import ObjectStore
from instrument_cache.reports import Report, publish
from instrument_cache.settings import Environment, redis_url, s3_settings
from local_stack.instance import DATASET
from tests.integration.backup.filling import fill, good_backup, settle
from tests.unit.plugins.fake_flink import FakeFlink

PAGE: Final = "/instrument-cache/"
USERS: Final = {"ann": "admin", "vic": "viewer"}
TIMEOUT_MS: Final = 60_000
HOSTILE: Final = "<script>document.title='taken'</script><img src=x onerror=alert(1)>"


@dataclass(frozen=True)
class Site:
    """Airflow at `url`, and the parts at which its page looks."""

    url: str
    env: Environment
    flink: FakeFlink
    http: httpx.Client

    @property
    def client(self) -> redis.Redis:
        return redis_client(redis_url(self.env), name="test")

    def token(self, user: str) -> str:
        answer = self.http.post("/auth/token", json={"username": user, "password": user})
        return str(answer.raise_for_status().json()["access_token"])

    def get(self, path: str, user: str | None = None, **headers: str) -> httpx.Response:
        """Ask as a user, or as nobody."""
        own = {"Authorization": f"Bearer {self.token(user)}"} if user else {}
        return self.http.get(PAGE + path, headers={**own, **headers})

    def seen(self) -> dict[str, str]:
        """Part → severity, as the page has it now."""
        found = self.get("overview.json", "ann").raise_for_status().json()
        return {tile["part"]: tile["severity"] for tile in found["tiles"]}

    def finding(self, part: str) -> dict[str, str]:
        """What the doctor says of a part that is not well, as the page has it now; nothing if it is well."""
        found = self.get("overview.json", "ann").raise_for_status().json()["findings"]
        return next((each for each in found if each["part"] == part), {})

    def check_all_well(self) -> bool:
        """Fails with what is not."""
        found = self.get("overview.json", "ann").raise_for_status().json()
        everything = [*found["tiles"], *found["findings"]]
        wrong = {each["part"]: each["sentence"] for each in everything if each["severity"] != "ok"}
        assert not wrong, wrong
        return bool(found["examined_at"])

    def all_well(self) -> None:
        """Every part is there, and every operation has proved what it should."""
        self.client.flushall()
        self.flink.status = 200
        self.flink.jobs.clear()
        # A job that is older than Redis would mean that Redis was started again.
        self.flink.add("a" * 32, age_s=int(self.client.info("server")["uptime_in_seconds"]), checkpoint_s=1)
        fill(self.client, 50)
        self._stream_is_even()
        self._reports(True)
        backups = Backups(self.env)
        good_backup(backups, f"run-{time.time_ns()}", datetime.now(UTC))
        backups.copy("copy", deep=False)

    def _stream_is_even(self) -> None:
        """The log holds what is accounted, and each partition has its canary."""
        bootstrap = self.env.text("ICACHE_KAFKA_BOOTSTRAP")
        producer = Producer({"bootstrap.servers": bootstrap})
        for number in range(50):
            producer.produce(DATASET, key=b"%09d" % number, value=None)
        assert producer.flush(TIMEOUT_MS / 1000) == 0
        for partition, span in topic_spans(bootstrap, DATASET).items():
            settle(self.client, DATASET, partition, span.end)
            canary = b'{"v":%d,"p":%d}' % (time.time_ns() // 1000, partition)
            self.client.set(stored_key(DATASET, partition), canary)

    def publish_quality(self, page: str) -> str:
        """Data Docs and their report, with a run id as Airflow makes it; returns that."""
        objects, run_id = ObjectStore(s3_settings(self.env)), f"manual__{datetime.now(UTC).isoformat()}"
        objects.put_once(f"quality/instruments/runs/{run_id}/index.html", page.encode())
        report = _report(next(run for run in RUNS if run.operation == "data_quality"), 0, True)
        details = {"data_docs": f"quality/instruments/runs/{run_id}/index.html"}
        publish(objects, self.client, msgspec.structs.replace(report, run_id=run_id, details=details))
        return run_id

    def much_is_wrong(self) -> None:
        """No job, a cache that is not equal, drills that missed."""
        self._failed_job("the Python worker ended")
        self._reports(False)

    def attacked(self) -> None:
        """As before, with texts that attack whoever shows them."""
        self._failed_job(HOSTILE)
        publish(ObjectStore(s3_settings(self.env)), self.client, _report(RUNS[0], 0, False, HOSTILE))

    def _failed_job(self, why: str) -> None:
        self.flink.jobs.clear()
        self.flink.add("b" * 32, "FAILED", age_s=60, stacktrace=f"java.lang.Exception: {why}")

    def _reports(self, ok: bool) -> None:
        for run in RUNS:
            for weeks in (2, 1, 0):
                publish(ObjectStore(s3_settings(self.env)), self.client, _report(run, weeks, ok))


class Runs(NamedTuple):
    """What good runs of an operation report, and one that was not good."""

    operation: str
    good: str
    numbers: dict[str, float]
    bad: str
    bad_numbers: dict[str, float]


RUNS: Final = (
    Runs("reconcile", "All 50 keys equal their source.", {"equal_ratio": 1.0, "differences": 0, "keys": 50},
         "3 of 50 keys differ from their source.", {"equal_ratio": 0.94, "differences": 3, "open": 3}),
    Runs("backup", "The backup is good in 2 regions.", {"regions": 2},
         "The backup is not good in the second region.", {"regions": 1}),
    Runs("data_quality", "All 30 rules are kept.", {"kept_ratio": 1.0, "rules": 30},
         "3 of 30 rules are broken.", {"kept_ratio": 0.9}),
    Runs("slo_report", "87.5 % are left.", {"budget_left_min_percent": 87.5, "latency_left_percent": 87.5},
         "The budget of latency is spent.", {"budget_left_min_percent": 0, "latency_left_percent": 0}),
    Runs("failover_drill", "No write was lost.", {"write_gap_s": 2.3, "failed_cached_reads": 0, "lost_writes": 0},
         "Writes stood still for longer than the target.", {"write_gap_s": 6.9}),
    Runs("dr_drill", "The second region served in time.", {"rto_s": 15.8, "rpo_s": 0.4, "entries": 50},
         "The second region served later than the target.", {"rto_s": 47.4}),
)  # fmt: skip


def _report(run: Runs, weeks: int, ok: bool, bad: str = "") -> Report:
    at = datetime.now(UTC) - timedelta(weeks=weeks)
    good = ok or weeks > 0
    grown = {name: number * (1 + weeks) if name.endswith("_s") else number for name, number in run.numbers.items()}
    targets = {"rto_s_max": 30, "rpo_s_max": 5, "write_gap_s_max": 3.5}
    return Report(
        DATASET, run.operation, f"test__{at.isoformat()}", at.isoformat(), at.isoformat(), good,
        run.good if good else bad or run.bad,
        grown if good else {**grown, **run.bad_numbers}, {"targets": targets, "samples": [bad or run.bad]},
    )  # fmt: skip


class Tab:
    """The page in a browser, and whatever it did that it must not: errors, policy violations, requests elsewhere."""

    def __init__(self, browser: Browser, site: Site, user: str = "ann", **options: Any) -> None:
        self.site = site
        self.context = browser.new_context(**options)
        self.context.add_cookies([{"name": "_token", "value": site.token(user), "url": site.url}])
        self.page: Page = self.context.new_page()
        self.page.set_default_timeout(TIMEOUT_MS)
        self.wrong: list[str] = []
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("console", lambda said: self.wrong.append(said.text) if said.type == "error" else None)
        self.page.on("request", lambda asked: None if asked.url.startswith(site.url) else self.wrong.append(asked.url))

    def open(self, path: str = "") -> Page:
        self.page.goto(self.site.url + PAGE + path)
        return self.page

    def close(self) -> None:
        self.context.close()
        assert not self.wrong, self.wrong
