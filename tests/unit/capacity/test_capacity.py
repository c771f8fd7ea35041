"""Growth, forecast, cost, and the report that says when it knows too little."""

from __future__ import annotations

import pytest

from instrument_cache.capacity.cost import Prices, Sizes, cost_of
from instrument_cache.capacity.growth import days_until, growth, why_no_forecast
from instrument_cache.capacity.service import CapacityReports, up_to_now
from instrument_cache.reports import Report, Summary
from instrument_cache.settings import Environment
from instrument_cache.slo.sample import Sample

DAY_S = 86_400
START_S = 1_763_596_800  # 2025-11-20
MB = 1_000_000


def hours(days: float, per_day: int = 10 * MB, limit: int = 0) -> list[Sample]:
    """A cache that begins with 100 MB and 1,000,000 keys and grows steadily, one sample each hour."""
    return [
        Sample(
            at_s=START_S + 3600 * hour,
            keys=1_000_000 + 100 * hour,
            memory_bytes=100 * MB + per_day * hour // 24,
            memory_bytes_max=limit,
            file_bytes=200 * MB,
        )
        for hour in range(int(days * 24) + 1)
    ]


def report(samples: list[Sample], backup: Summary | None = None, **settings: str) -> Report:
    env = Environment({"ICACHE_REDIS_URL": "redis://127.0.0.1:1", **settings})
    now_s = samples[-1].at_s if samples else START_S
    return CapacityReports(env).report("run", samples, backup, now_s, 90)


def test_a_line_through_steady_growth() -> None:
    found = growth([(at * 3600.0, 5.0 + at / 24) for at in range(100)])
    assert found is not None
    assert (found.per_day, found.now, found.fit) == (pytest.approx(1), pytest.approx(5 + 99 / 24), pytest.approx(1))
    assert days_until(found, found.now + 30) == pytest.approx(30)
    assert days_until(found, 1) == 0


def test_what_does_not_grow_reaches_nothing() -> None:
    found = growth([(at * 3600.0, 5.0) for at in range(100)])
    assert found is not None
    assert (found.per_day, found.fit) == (0, 1)
    assert days_until(found, 6) is None


def test_noise_is_not_called_a_line() -> None:
    found = growth([(at * 3600.0, float(at % 7)) for at in range(200)])
    assert found is not None
    assert found.fit < 0.1


@pytest.mark.parametrize(
    "points", [[], [(0.0, 1.0)], [(3600.0 * at, 1.0) for at in range(30)], [(DAY_S * 2.0 * at, 1.0) for at in range(5)]]
)
def test_too_little_is_no_forecast_and_says_what_is_missing(points: list[tuple[float, float]]) -> None:
    assert growth(points) is None
    assert f"{len(points)} hours over" in why_no_forecast(points)


def test_the_report_names_the_day_on_which_memory_is_full() -> None:
    made = report(hours(10, limit=1000 * MB))
    assert made.sentence.endswith("The limit of 1.0 GB is reached on 2026-02-18.")
    assert (made.ok, made.numbers["days_left"]) == (False, 80.0)
    assert made.numbers["bytes_per_key"] == pytest.approx(200 * MB / 1_024_000, abs=0.1)
    assert (made.numbers["memory_bytes_per_day"], made.numbers["keys_per_day"]) == (10 * MB, 2400)
    assert len(made.details["by_day"]) == 11


def test_a_limit_that_is_far_away_is_no_alarm() -> None:
    assert report(hours(10, limit=2000 * MB)).ok
    assert "more than 10 years away" in report(hours(10, per_day=1000, limit=2000 * MB)).sentence
    assert "not reached at this pace" in report(hours(10, per_day=0, limit=2000 * MB)).sentence


def test_a_limit_comes_from_the_setting_if_redis_has_none() -> None:
    assert "No limit is known" in report(hours(10)).sentence
    assert "is reached on 2026-02-18" in report(hours(10), ICACHE_CAPACITY_MEMORY_MB="1000").sentence


def test_a_young_deployment_forecasts_nothing() -> None:
    made = report(hours(1, limit=101 * MB))
    assert made.ok
    assert made.sentence.endswith("No forecast: 25 hours over 1.0 days were measured; a forecast needs 24 over 3 days.")
    nothing = report([])
    assert (nothing.ok, nothing.numbers) == (True, {"hours": 0})
    assert nothing.sentence.startswith("Nothing was measured yet")


def test_cost_with_prices_and_without() -> None:
    sizes = Sizes(memory=2e9, disk=4e9, objects=1e9)
    cost = cost_of(sizes, Prices(memory_cents=500, disk_cents=10, memory_copies=3))
    assert (cost.memory_cents, cost.disk_cents, cost.objects_cents) == (3000, 120, 0)
    assert (cost.total_cents, cost.unpriced) == (3120, ("objects",))
    backup = Summary("b", "2025-11-20T21:26:40+00:00", True, "", {"bytes": 1e7, "regions": 2})
    prices = {"ICACHE_PRICE_OBJECTS_CENTS": "100", "ICACHE_BACKUP_KEEP_COUNT": "50"}
    assert report(hours(10), backup, **prices).numbers["cost_cents_per_month"] == 100
    assert "cost_cents_per_month" not in report(hours(10), backup).numbers


def test_the_running_hour_is_as_the_newest_minute_has_it() -> None:
    past, first = Sample(at_s=3000, keys=5, memory_bytes=50), Sample(at_s=3601, keys=0, memory_bytes=10)
    newest, unmeasured = Sample(at_s=3720, keys=9, memory_bytes=90), Sample(at_s=3780)
    assert up_to_now([past, first], [first, newest, unmeasured]) == [past, newest]
    assert up_to_now([past, first], [unmeasured]) == [past, first]
