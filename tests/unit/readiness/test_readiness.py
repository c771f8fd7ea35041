"""Checks, weights, score and sentence."""

from __future__ import annotations

import pytest

from instrument_cache.clock import FakeClock
from instrument_cache.doctor.model import Finding
from instrument_cache.readiness.checks import of_doctor, of_redis, of_reports, of_settings
from instrument_cache.readiness.model import Check, failed_first, score_percent
from instrument_cache.readiness.service import Readiness, sentence
from instrument_cache.reports import Report, Summary
from instrument_cache.settings import Environment

CLOCK = FakeClock()
NOW_S = CLOCK.now_us() / 1e6
YOUNG, OLD = "2025-11-20T20:26:40+00:00", "2025-11-01T20:26:40+00:00"


def by_name(checks: object) -> dict[str, bool | None]:
    return {check.name: check.passed for check in checks}  # type: ignore[attr-defined]


def test_the_score_is_the_weight_of_what_passed() -> None:
    checks = [Check("a", 3, True, ""), Check("b", 1, False, ""), Check("c", 50, None, "")]
    assert score_percent(checks) == 75
    assert [check.name for check in failed_first(checks)] == ["b", "a", "c"]
    assert score_percent([Check("c", 5, None, "")]) == 0


def test_a_part_is_as_well_as_its_worst_finding() -> None:
    checks = {
        check.name: check
        for check in of_doctor(
            [
                Finding("redis", "warn", "slow"),
                Finding("kafka", "ok", "well"),
                Finding("kafka", "red", "away", "why", "restart it"),
                Finding("backup", "warn", "never"),
            ]
        )
    }
    assert by_name(checks.values()) == {"redis": True, "kafka": False, "backup": False}
    assert (checks["kafka"].sentence, checks["kafka"].fix) == ("away", "restart it")


@pytest.mark.parametrize(
    ("report", "passed"), [(None, False), ((YOUNG, True), True), ((YOUNG, False), False), ((OLD, True), False)]
)
def test_a_proof_must_be_good_and_young(report: tuple[str, bool] | None, passed: bool) -> None:
    reports = {} if report is None else {"dr_drill": Summary("r", *report, "It is told.", {})}
    (found,) = [check for check in of_reports(reports, NOW_S) if check.name == "dr_drill"]
    assert found.passed is passed
    assert bool(found.fix) is not passed


def test_how_redis_is_set_up_and_what_is_not_asked_of_one_machine() -> None:
    good = {"appendonly": "yes", "maxmemory-policy": "noeviction", "maxmemory": "0"}
    on_laptop = by_name(of_redis(good, {}, "redis://:secret@127.0.0.1:6379/0"))
    assert on_laptop == {
        "redis-keeps": True,
        "redis-evicts-nothing": True,
        "redis-password": True,
        "redis-limited": None,
        "redis-replicas": None,
    }
    assert set(by_name(of_redis({}, {}, "redis://cache.example:6379")).values()) == {False}
    shared = by_name(of_redis(good | {"maxmemory": "1"}, {"connected_slaves": 2}, "redis://:s@cache.example"))
    assert set(shared.values()) == {True}


def test_settings_that_are_missing_come_with_their_fix() -> None:
    found = list(of_settings(Environment({"ICACHE_S3_SECOND_ENDPOINT": "http://s3"})))
    assert by_name(found) == {"second-region": True, "signed-backups": False, "lookup-watched": False}
    assert all(bool(check.fix) is not check.passed for check in found)


def test_the_sentence_names_what_costs_most_and_the_trend() -> None:
    checks = [
        Check(name, weight, weight > 4, "") for name, weight in (("a", 90), ("b", 1), ("c", 4), ("d", 3), ("e", 2))
    ]
    before = Report("d", "readiness_score", "r", YOUNG, YOUNG, True, "", {"score_percent": 80.0})
    expected = "90.0 % ready (goal 95 %, last time 80.0 %); 4 failed: c, d, e, and 1 more"
    assert sentence(checks, 95, [before]) == expected
    assert sentence(checks[:1], 95) == "100.0 % ready (goal 95 %); every check passed"


def test_the_report_is_good_at_its_goal_and_has_every_check() -> None:
    readiness = Readiness(Environment({"ICACHE_REDIS_URL": "redis://127.0.0.1:1"}), lambda env: [], CLOCK)
    checks = [Check("a", 95, True, "well"), Check("b", 5, False, "not well", "mend it")]
    made = readiness.report("run", checks, [], 95)
    assert (made.ok, made.numbers) == (True, {"score_percent": 95.0, "checks": 2.0, "failed": 1.0})
    assert [check["name"] for check in made.details["checks"]] == ["b", "a"]
    assert not readiness.report("run", checks, [], 96).ok


def test_a_redis_that_is_away_is_one_failed_check() -> None:
    found = Readiness(Environment({"ICACHE_REDIS_URL": "redis://127.0.0.1:1"}), lambda env: [], CLOCK).look()
    assert by_name(found)["redis-setup"] is False
