"""What a run tells: numbers, the age of the oldest difference, samples before and after."""

from __future__ import annotations

import msgspec
import pytest

from instrument_cache.contract import Contract
from instrument_cache.reconcile.compare import Before, Throttle
from instrument_cache.reconcile.outcome import DRY_RUN, REFUSED, REPAIRED, report_of
from instrument_cache.reconcile.table import lines
from instrument_cache.reports import Report
from local_stack.synthetic import synthetic_cusip
from tests.unit.reconcile.world import World

ROWS = 100


@pytest.fixture
def world(contract: Contract) -> World:
    made = World(contract)
    made.fill(ROWS)
    return made


def key(number: int) -> str:
    return f"instr:{synthetic_cusip(number)}"


def report(world: World, decision: str, run_id: str = "run-1") -> Report:
    plans = world.plans(run_id)
    return report_of(plans.need(), plans, decision, world.clock.now_us())


def test_an_equal_cache(world: World) -> None:
    world.compare()
    found = report(world, REPAIRED)
    assert found.ok
    assert found.sentence == f"The cache equals its source: 100.0000% of {2 * ROWS} keys equal."
    assert (found.numbers["equal_ratio"], found.numbers["oldest_difference_s"], found.numbers["open"]) == (1, 0, 0)
    assert found.numbers["trusted_rows"] == ROWS


def test_differences_before_and_after_their_repair(world: World) -> None:
    world.store.lose(key(1))
    world.store.plant(key(2), b"garbage")
    world.clock.advance(60)
    plan = world.compare()
    world.repair(plan)
    found = report(world, REPAIRED)
    assert found.ok
    assert found.sentence.endswith("1 missing, 1 corrupt. Repaired 2, open 0.")
    assert (found.numbers["equal_ratio"], found.numbers["equal_ratio_after"]) == (1 - 2 / (2 * ROWS), 1)
    samples = {sample["key"]: sample for sample in found.details["samples"]}
    assert (samples[key(1)]["before"], samples[key(2)]["before"]) == (None, "garbage")
    assert samples[key(2)]["source"] == samples[key(2)]["after"] == world.expected()[key(2)].decode()
    text = "\n".join(lines(found))
    assert "corrupt " + key(2) in text
    assert "(nothing)" in text


@pytest.mark.parametrize("decision", [DRY_RUN, REFUSED])
def test_what_was_not_repaired_is_open_and_keeps_its_age(world: World, decision: str) -> None:
    world.store.lose(key(1))
    world.compare(before=Before(looked_us=world.clock.now_us() - 5_000_000))
    first = report(world, decision)
    assert (first.ok, first.numbers["open"]) == (False, 1)
    assert list(first.details["open"]) == [key(1)]
    world.clock.advance(3600)
    looked_us = int(first.numbers["looked_us"])
    world.compare(before=Before(looked_us, ROWS, first.details["open"]), run_id="run-2")
    assert report(world, decision, "run-2").numbers["oldest_difference_s"] >= 3600


def test_a_difference_is_no_older_than_the_last_run_that_did_not_find_it(world: World) -> None:
    world.clock.advance(7200)
    looked_us = world.clock.now_us() - 600_000_000
    world.store.lose(key(1))
    world.compare(before=Before(looked_us, ROWS, {}))
    assert report(world, DRY_RUN).numbers["oldest_difference_s"] == pytest.approx(600, abs=1)


def test_a_source_that_was_refused_does_not_become_what_is_trusted(world: World) -> None:
    for number in range(ROWS // 2):
        world.delete(synthetic_cusip(number))
    world.store.plant("instr:garbage", b"x")
    world.compare(before=Before(trusted_rows=ROWS))
    assert report(world, REFUSED).numbers["trusted_rows"] == ROWS
    assert report(world, REPAIRED).numbers["trusted_rows"] == ROWS // 2


def test_a_second_try_of_a_comparison_finds_the_plan_of_the_first(world: World) -> None:
    world.store.lose(key(1))
    first = world.compare()
    world.store.lose(key(2))
    assert msgspec.to_builtins(world.compare()) == msgspec.to_builtins(first)
    assert list(world.found(first)) == [key(1)]


def test_a_throttle_rests_in_proportion() -> None:
    now: list[float] = [0.0]
    slept: list[float] = []
    throttle = Throttle(25, sleep=slept.append, monotonic=lambda: now[0])
    now[0] = 2.0
    throttle()
    assert slept == [6.0]
    Throttle(100, sleep=slept.append)()
    assert slept == [6.0]
