"""The wanted state goes from value to value; numbers of generations are never used twice."""

from __future__ import annotations

import msgspec
import pytest

from flink_jobs.launch.overview import overview
from flink_jobs.launch.release import ReleaseError
from flink_jobs.launch.release_store import Published
from flink_jobs.launch.wanted import Configured, Run, Wanted


def run(generation: int, release: str, base: str | None = None) -> Run:
    return Run(generation=generation, release=release, parallelism=2, base=base, job_id=f"j{generation}", began_us=1)


FIRST = Wanted(configured=Configured("1", 2), current=run(1, "1"))


def test_a_trial_runs_instead_and_gives_way() -> None:
    tried = FIRST.tried(run(FIRST.next_generation, "2"))
    assert (tried.running.release, tried.current.release) == ("2", "1")
    over = tried.given_up("failed", "it raised", 5)
    assert (over.running.release, over.trial) == ("1", None)
    assert (over.past[0].run.release, over.past[0].verdict, over.past[0].reason) == ("2", "failed", "it raised")


def test_a_promoted_trial_leaves_a_verdict_about_what_it_replaced() -> None:
    promoted = FIRST.tried(run(2, "2")).promoted("good", "replaced by 2", 5)
    assert (promoted.current.release, promoted.past[0].run.release, promoted.past[0].verdict) == ("2", "1", "good")


def test_a_number_is_not_used_again_after_a_failed_trial() -> None:
    wanted, seen = FIRST, {1}
    for number in range(120):
        generation = wanted.next_generation
        assert generation not in seen
        seen.add(generation)
        tried = wanted.tried(run(generation, "x"))
        wanted = tried.given_up("failed", "", 0) if number % 2 else tried.promoted("good", "", 0)
    assert len(wanted.past) == 50


def test_a_new_job_id_goes_to_what_runs() -> None:
    assert FIRST.submitted("new").current.job_id == "new"
    tried = FIRST.tried(run(2, "2")).submitted("new")
    assert tried.trial is not None
    assert (tried.trial.job_id, tried.current.job_id) == ("new", "j1")


def test_the_newest_good_release_is_not_one_that_failed_or_was_rolled_back() -> None:
    second = FIRST.tried(run(2, "2")).promoted("good", "", 0)
    third = second.tried(run(3, "bad")).given_up("failed", "", 0)
    assert third.newest_good() == "1"
    back = third.tried(run(4, "1")).promoted("rolled back", "", 0)
    with pytest.raises(ReleaseError, match="no good release ran before '1'"):
        back.newest_good()


def test_it_survives_json() -> None:
    wanted = FIRST.tried(run(2, "2", base="s3://b/s")).given_up("interrupted", "killed", 3)
    assert msgspec.json.decode(msgspec.json.encode(wanted), type=Wanted) == wanted


def test_the_overview_names_the_state_of_each_release() -> None:
    published = [Published(version, "d", 1, 1) for version in ("1", "2", "bad", "new")]
    wanted = FIRST.tried(run(2, "2")).promoted("good", "", 0).tried(run(3, "bad")).given_up("failed", "", 0)
    states = {entry["version"]: entry["state"] for entry in overview(wanted, published)["releases"]}
    assert states == {"1": "good", "2": "current", "bad": "failed", "new": "never ran"}
    assert overview(None, published)["current"] is None
