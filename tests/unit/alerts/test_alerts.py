"""People are told once of a trouble and once of its end, through real receivers, whatever these do."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from airflow.sdk import DAG

from instrument_cache.alerts.deadlines import overdue
from instrument_cache.alerts.incidents import Incidents
from instrument_cache.alerts.model import Alert, Kind
from instrument_cache.alerts.service import Alerts
from instrument_cache.clock import FakeClock
from instrument_cache.errors import SettingsError
from instrument_cache.settings import Environment
from instrument_cache_airflow.telling import TellPeople
from tests.servers import free_port
from tests.unit.alerts.receivers import MailServer, Web, serving

HOUR_US = 3_600_000_000
HOSTILE = "<!channel> 5 > 3 & \r\nBcc: all@example.com"


class MemoryRedis:
    """As much of Redis as keeps incidents."""

    def __init__(self) -> None:
        self.values: dict[str, bytes] = {}
        self.hashes: dict[str, dict[bytes, bytes]] = {}

    def get(self, key: str) -> bytes | None:
        return self.values.get(key)

    def set(self, key: str, value: bytes) -> None:
        self.values[key] = value

    def delete(self, key: str) -> None:
        self.values.pop(key, None)

    def hset(self, key: str, field: str, value: int) -> None:
        self.hashes.setdefault(key, {})[field.encode()] = str(value).encode()

    def hsetnx(self, key: str, field: str, value: int) -> None:
        self.hashes.setdefault(key, {}).setdefault(field.encode(), str(value).encode())

    def hgetall(self, key: str) -> dict[bytes, bytes]:
        return self.hashes.get(key, {})


@pytest.fixture
def incidents() -> Incidents:
    client: Any = MemoryRedis()
    return Incidents(client, "instruments")


@pytest.fixture
def web() -> Iterator[Web]:
    with serving(Web()) as server:
        yield server
        server.go_on.set()


@pytest.fixture
def mail() -> Iterator[MailServer]:
    with serving(MailServer()) as server:
        yield server


@pytest.fixture
def env(web: Web, mail: MailServer) -> Environment:
    """Its Redis is away."""
    return Environment(
        {
            "ICACHE_REDIS_URL": f"redis://127.0.0.1:{free_port()}/0",
            "ICACHE_ALERT_SLACK_URL": f"{web.url}/slack",
            "ICACHE_ALERT_PAGERDUTY_URL": f"{web.url}/pagerduty",
            "ICACHE_ALERT_PAGERDUTY_KEY": "key-1",
            "ICACHE_ALERT_SMTP_URL": mail.url,
            "ICACHE_ALERT_MAIL_FROM": "cache@example.com",
            "ICACHE_ALERT_MAIL_TO": "ann@example.com, bob@example.com",
            "ICACHE_ALERT_DEADLINE_S": "3",
        }
    )


def alert(kind: Kind = Kind.FAILED, tier: int = 1, sentence: str = "It broke.") -> Alert:
    return Alert(
        dataset="instruments", operation="cache_backup", tier=tier, kind=kind, sentence=sentence, run_id="run-1",
        url="http://127.0.0.1:8080/dags/cache_backup/runs/run-1",
    )  # fmt: skip


def test_a_trouble_and_its_end_are_told_once_to_everybody(
    env: Environment, incidents: Incidents, web: Web, mail: MailServer
) -> None:
    alerts = Alerts(env, incidents=incidents)
    for _ in range(3):
        alerts.trouble(alert())
    for _ in range(2):
        alerts.well(alert(Kind.RESOLVED))
    assert [body["text"].splitlines()[0] for body in web.bodies("/slack")] == [
        "[tier 1] cache_backup of instruments: failed",
        "[tier 1] cache_backup of instruments: resolved",
    ]
    events = web.bodies("/pagerduty")
    assert [event["event_action"] for event in events] == ["trigger", "resolve"]
    assert {event["dedup_key"] for event in events} == {"instrument-cache/instruments/cache_backup"}
    assert (events[0]["routing_key"], events[0]["payload"]["severity"]) == ("key-1", "critical")
    assert events[0]["links"][0]["href"].endswith("/runs/run-1")
    assert len(mail.mails) == 2
    assert "To: ann@example.com, bob@example.com" in mail.mails[0]
    assert "What to do: docs/runbook/cache_backup.md" in mail.mails[0]


def test_the_tier_says_who_is_told(env: Environment, incidents: Incidents, web: Web, mail: MailServer) -> None:
    alerts = Alerts(env, incidents=incidents)
    alerts.trouble(alert(tier=3))
    assert (web.taken, len(mail.mails)) == ([], 1)
    incidents.close("cache_backup")
    nobody = Alerts(Environment({**env.variables, "ICACHE_ALERT_TIER_1": "nobody"}), incidents=incidents)
    nobody.trouble(alert())
    assert (web.taken, len(mail.mails)) == ([], 1)
    with pytest.raises(SettingsError, match="'telex'"):
        Alerts(Environment({**env.variables, "ICACHE_ALERT_TIER_1": "telex"}))


def test_a_receiver_that_answers_500_is_told_with_the_next_trouble(
    env: Environment, incidents: Incidents, web: Web, mail: MailServer
) -> None:
    alerts = Alerts(env, incidents=incidents)
    web.status = 500
    alerts.trouble(alert())
    assert len(mail.mails) == 1
    web.status = 200
    alerts.trouble(alert())
    assert (len(web.bodies("/slack")), len(mail.mails)) == (1, 1)
    web.status = 500
    alerts.well(alert(Kind.RESOLVED))
    web.status = 200
    alerts.well(alert(Kind.RESOLVED))
    assert [len(web.bodies("/slack")), len(web.bodies("/pagerduty")), len(mail.mails)] == [2, 2, 2]
    assert alerts.incidents.open("cache_backup") is None


def test_a_receiver_that_hangs_costs_the_deadline_and_nobody_else(
    env: Environment, incidents: Incidents, web: Web, mail: MailServer
) -> None:
    web.hangs.set()
    began_s = time.monotonic()
    Alerts(env, incidents=incidents).trouble(alert())
    assert time.monotonic() - began_s < 3 + 10
    assert len(mail.mails) == 1


def test_a_long_trouble_is_told_again(env: Environment, incidents: Incidents, web: Web) -> None:
    clock = FakeClock()
    alerts = Alerts(env, clock, incidents)
    alerts.trouble(alert())
    clock.advance(5 * 3600)
    alerts.trouble(alert())
    assert len(web.bodies("/slack")) == 1
    clock.advance(2 * 3600)
    alerts.trouble(alert())
    assert len(web.bodies("/slack")) == 2


def test_without_redis_it_is_told_each_time(env: Environment, web: Web) -> None:
    away = Alerts(env)
    away.trouble(alert())
    away.trouble(alert())
    away.well(alert(Kind.RESOLVED))
    assert len(web.bodies("/slack")) == 2


def test_hostile_texts_ring_nobody_and_add_no_header(
    env: Environment, incidents: Incidents, web: Web, mail: MailServer
) -> None:
    Alerts(env, incidents=incidents).trouble(alert(sentence=HOSTILE))
    assert "&lt;!channel&gt;" in web.bodies("/slack")[0]["text"]
    assert "\nBcc:" not in mail.mails[0].partition("\r\n\r\n")[0]


def context(**more: Any) -> Any:
    dag = DAG("cache_backup", schedule=None, tags=["cache", "tier:2"])
    return {"dag": dag, "run_id": "scheduled__2025-11-21T00:00:00+00:00", "reason": "task_failure", **more}


def test_airflow_calls_it_and_nothing_that_happens_reaches_airflow(
    env: Environment, web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {**env.variables, "AIRFLOW__API__BASE_URL": "http://127.0.0.1:8080"}.items():
        monkeypatch.setenv(name, value)
    TellPeople(good=False)(context())
    TellPeople(good=True)(context())  # Redis is away: it does not know of any trouble
    (first,) = (body["text"] for body in web.bodies("/slack"))
    assert "[tier 2] cache_backup of instruments: failed\nThe run failed: task_failure." in first
    assert "/dags/cache_backup/runs/scheduled__2025-11-21T00%3A00%3A00%2B00%3A00" in first
    monkeypatch.setenv("ICACHE_ALERT_TIER_2", "telex")
    TellPeople(good=False)(context())


def test_what_did_not_happen_is_overdue(incidents: Incidents) -> None:
    known = frozenset({"cache_backup", "cache_restore"})
    assert list(overdue(incidents, known, HOUR_US)) == []
    (late,) = overdue(incidents, known, 2 * HOUR_US)
    assert (late.operation, late.tier) == ("cache_backup", 1)
    assert late.sentence.startswith("No run of cache_backup was green for 60 min (limit 50 min).")
    incidents.note_green("cache_backup", 2 * HOUR_US)
    assert list(overdue(incidents, known, 2 * HOUR_US + 1)) == []


def test_who_runs_less_often_has_longer(incidents: Incidents) -> None:
    known = frozenset({"cache_backup"})
    assert list(overdue(incidents, known, HOUR_US)) == []
    each_hour = {"cache_backup": 3600.0}
    assert list(overdue(incidents, known, 4 * HOUR_US, each_hour)) == []
    (late,) = overdue(incidents, known, 4 * HOUR_US + 1, each_hour)
    assert "(limit 3 h)" in late.sentence
