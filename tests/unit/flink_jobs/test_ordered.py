"""A run of stream_upgrade decides once and reports once, however often it is tried."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest

from flink_jobs.launch.ordered import OPERATION, OrderedChange, sentence
from flink_jobs.launch.orders import Orders
from flink_jobs.launch.release import ReleaseError
from flink_jobs.launch.upgrade import Change, Outcome
from flink_jobs.launch.wanted import Wanted
from instrument_cache.errors import Unavailable
from instrument_cache.objects_memory import MemoryObjects
from instrument_cache.reports import newest

WANTED = cast(Wanted, None)


class Keys:
    """The commands of Redis that a report needs."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}

    def mget(self, keys: list[str]) -> list[bytes | None]:
        return [self.kept.get(key) for key in keys]

    def set(self, key: str, value: bytes) -> None:
        self.kept[key] = value


class Scene:
    """One dataset, and a launcher that comes to `outcome`."""

    def __init__(self) -> None:
        self.objects, self.redis = MemoryObjects(), cast(Any, Keys())
        self.counters = {"applied": 100, "rejected": 0}
        self.carried_out: list[Change] = []
        self.upgrade = cast(Any, SimpleNamespace(reason="", without_job_s=12.0))

    def run(
        self, run_id: str, outcome: Outcome | Exception, decide: Callable[[Wanted], Change] | None = None
    ) -> Outcome:
        def carry_out(decided: Callable[[Wanted], Change]) -> Outcome:
            self.carried_out.append(decided(WANTED))
            self.counters = {"applied": 190, "rejected": 10}
            if isinstance(outcome, Exception):
                raise outcome
            return outcome

        ordered = OrderedChange(self.objects, self.redis, "instruments", run_id)
        return ordered.carry_out(self.upgrade, lambda: self.counters, decide or (lambda _: Change("2", 1)), carry_out)

    @property
    def report(self) -> Any:
        return newest(self.redis, "instruments", OPERATION)


def test_a_deployed_release_is_reported() -> None:
    scene = Scene()
    assert scene.run("run-1", Outcome.DONE) is Outcome.DONE
    assert (scene.report.ok, scene.report.sentence) == (True, "release 2 runs, at parallelism 1")
    numbers = scene.report.numbers
    assert (numbers["settled"], numbers["rejected"], numbers["rejected_share"]) == (100, 10, 0.1)
    assert numbers["without_job_s"] == 12


def test_a_release_that_was_given_up_is_a_report_and_not_tried_again() -> None:
    scene = Scene()
    scene.upgrade.reason = "it rejects 60.0 % of 500 records"
    assert scene.run("run-1", Outcome.WENT_BACK) is Outcome.DONE
    assert not scene.report.ok
    assert scene.report.sentence == (
        "release 2 was given up and the one before runs again: it rejects 60.0 % of 500 records"
    )
    assert scene.run("run-1", Outcome.WENT_BACK) is Outcome.DONE
    assert len(scene.carried_out) == 1
    scene.run("run-2", Outcome.DONE)
    assert len(scene.carried_out) == 2


def test_a_second_try_does_what_the_first_one_decided() -> None:
    scene = Scene()
    with pytest.raises(Unavailable):
        scene.run("run-1", Unavailable("Flink is away"), lambda _: Change("1", 1, verdict="rolled back"))
    assert scene.report is None
    scene.run("run-1", Outcome.DONE, lambda _: Change("0", 1, verdict="rolled back"))
    assert [change.release for change in scene.carried_out] == ["1", "1"]


def test_what_cannot_be_decided_is_a_refusal() -> None:
    scene = Scene()

    def no_good_release(_: Wanted) -> Change:
        raise ReleaseError("no good release ran before '1'")

    assert scene.run("run-1", Outcome.DONE, no_good_release) is Outcome.DONE
    assert not scene.report.ok
    assert scene.report.sentence == "the change was refused before anything was touched: no good release ran before '1'"


def test_while_nothing_runs_there_is_no_report() -> None:
    scene = Scene()
    assert scene.run("run-1", Outcome.NOTHING_RUNS) is Outcome.NOTHING_RUNS
    assert scene.report is None


def test_orders_of_two_runs_do_not_meet() -> None:
    orders = Orders(MemoryObjects(), "instruments")
    assert orders.settle("manual__2026-01-01T00:00:00+00:00", lambda: Change("1", 1)).change.release == "1"
    assert orders.settle("manual__2026-01-01T00:00:00+01:00", lambda: Change("2", 1)).change.release == "2"
    assert "parallelism of the cluster" in sentence(Outcome.DONE, Change("1", 0), "")
