"""Minutes → budgets and burn rates."""

from __future__ import annotations

import pytest

from instrument_cache.settings import Environment
from instrument_cache.slo.budget import Budget, budget_of, days, missing_minutes
from instrument_cache.slo.objectives import Objective, objectives
from instrument_cache.slo.sample import Sample

NOW_S = 1_763_674_020
OBJECTIVE = Objective("fresh", "freshness", "it is fresh", 432)


def minutes(*verdicts: bool | None) -> list[Sample]:
    """One minute each, the last of them the one that ends now."""
    first = NOW_S - 60 * len(verdicts)
    return [Sample(at_s=first + 60 * at, fresh=verdict) for at, verdict in enumerate(verdicts)]


def budget(*verdicts: bool | None) -> Budget:
    return budget_of(OBJECTIVE, minutes(*verdicts), NOW_S)


def test_good_minutes_cost_nothing() -> None:
    found = budget(*[True] * 100)
    assert (found.measured, found.bad, found.left_percent, found.good_percent, found.alarm) == (100, 0, 100, 100, "")
    assert set(found.burn.values()) == {0}


def test_bad_minutes_are_taken_from_the_budget() -> None:
    found = budget(*[True] * 3000, *[False] * 43, *[True] * 400)
    assert found.bad == 43
    assert found.left_percent == pytest.approx(100 * (1 - 43 / 432))
    assert found.alarm == ""
    assert found.burn["1h"] == 0
    # 43 of 1440 minutes are bad, one of a hundred is allowed.
    assert found.burn["1d"] == pytest.approx(43 / 1440 * 100)


def test_an_outage_now_burns_fast() -> None:
    found = budget(*[True] * 2000, *[False] * 20)
    assert (found.burn["5m"], found.burn["1h"]) == (pytest.approx(100), pytest.approx(100 / 3))
    assert found.alarm == "fast"


def test_one_bad_minute_of_a_system_that_has_just_started_is_no_alarm() -> None:
    found = budget(False)
    assert (found.measured, found.bad, found.alarm) == (1, 1, "")
    assert found.burn["1h"] == pytest.approx(100 / 60)


def test_an_alarm_ends_soon_after_its_cause() -> None:
    assert budget(*[True] * 2000, *[False] * 20, *[True] * 6).alarm == ""


def test_every_tenth_bad_minute_burns_slowly() -> None:
    assert budget(*([True] * 2000), *([True] * 9 + [False]) * 40).alarm == "slow"


def test_a_spent_budget_is_an_alarm_long_after() -> None:
    found = budget(*[False] * 433, *[True] * 5000)
    assert found.alarm == "spent"
    assert found.left_percent < 0


def test_what_was_not_measured_is_neither_good_nor_bad() -> None:
    found = budget(None, None, True, False)
    assert (found.measured, found.bad) == (2, 1)
    nothing = budget(None)
    assert (nothing.measured, nothing.good_percent, nothing.alarm) == (0, None, "")
    assert set(nothing.burn.values()) == {None}


def test_minutes_that_nobody_measured_are_counted() -> None:
    assert missing_minutes([], NOW_S) == 0
    found = minutes(*[True] * 10)
    assert missing_minutes(found, NOW_S) == 0
    assert missing_minutes([*found[:3], *found[7:]], NOW_S) == 4


def test_the_bad_minutes_of_each_day() -> None:
    found = days(OBJECTIVE, minutes(*[False] * 1500, *[True] * 10))
    assert sum(found.values()) == 1500
    assert len(found) == 2


def test_budgets_come_from_the_settings() -> None:
    found = objectives(Environment({"ICACHE_SLO_AVAILABILITY_BUDGET_MINUTES": "432"}))
    assert [objective.title for objective in found] == ["freshness", "availability", "latency", "equality"]
    assert found[1].target_percent == pytest.approx(99)
