"""The page as users see it, and the states that it is brought into."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

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

    def check_all_well(self) -> bool:
        """Fails with what is not."""
        found = self.get("overview.json", "ann").raise_for_status().json()
        everything = [*found["tiles"], *found["findings"]]
        wrong = {each["part"]: each["sentence"] for each in everything if each["severity"] != "ok"}
        assert not wrong, wrong
        return bool(found["examined"])

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
        report = _report("data_quality", {"kept_ratio": 1.0}, 0, True)
        details = {"data_docs": f"quality/instruments/runs/{run_id}/index.html"}
        publish(objects, self.client, msgspec.structs.replace(report, run_id=run_id, details=details))
        return run_id

    def much_is_wrong(self) -> None:
        """No job, a cache that is not equal, a drill that missed, and texts that attack whoever shows them."""
        self.flink.jobs.clear()
        self.flink.add("b" * 32, "FAILED", age_s=60, stacktrace=f"java.lang.Exception: {HOSTILE}")
        self._reports(False)

    def _reports(self, ok: bool) -> None:
        for operation, numbers in _NUMBERS.items():
            for weeks in (2, 1, 0):
                publish(ObjectStore(s3_settings(self.env)), self.client, _report(operation, numbers, weeks, ok))


_NUMBERS: Final[dict[str, dict[str, float]]] = {
    "reconcile": {"equal_ratio": 1.0, "differences": 3, "keys": 50},
    "backup": {"regions": 2},
    "data_quality": {"kept_ratio": 1.0, "rules": 30},
    "slo_report": {"budget_left_min_percent": 87.5, "latency_left_percent": 87.5},
    "failover_drill": {"write_gap_s": 2.3, "failed_cached_reads": 0, "lost_writes": 0},
    "dr_drill": {"rto_s": 15.8, "rpo_s": 0.4, "entries": 50},
}


def _report(operation: str, numbers: dict[str, float], weeks: int, ok: bool) -> Report:
    at = datetime.now(UTC) - timedelta(weeks=weeks)
    grown = {name: number * (1 + weeks) if name.endswith("_s") else number for name, number in numbers.items()}
    good = ok or weeks > 0
    targets = {"rto_s_max": 30, "rpo_s_max": 5, "write_gap_s_max": 3.5}
    return Report(
        "instruments", operation, f"test__{at.isoformat()}", at.isoformat(), at.isoformat(), good,
        f"It went as it should {weeks} weeks ago." if good else f"It failed: {HOSTILE}",
        grown, {"targets": targets, "samples": [HOSTILE]},
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
