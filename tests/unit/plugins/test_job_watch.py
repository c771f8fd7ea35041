from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from instrument_cache.errors import Unavailable
from instrument_cache.flink_rest import FlinkRest, Job
from instrument_cache_airflow.job_watch import JobWatch, Sighting, has_been_missing, look, wait_until_stopped
from tests.servers import free_port
from tests.unit.plugins.fake_flink import NAME, FakeFlink

PREFIX = "instrument-cache.instruments.v"
JOB = Job("a", NAME, "RUNNING", 0, 60_000)
OTHER = Job("b", NAME, "RUNNING", 0, 60_000)
HEALTHY = Sighting((JOB,), checkpoint_age_s=3)
GONE = Sighting()
AWAY = Sighting(error="Flink at http://x does not answer")
STALLED = Sighting((JOB,), checkpoint_age_s=301)
STANDING = Sighting((JOB,), checkpoint_age_s=3, standstill="Nothing has been applied in partition 3.")


class AtWork:
    """Launchers that are at work, or are not."""

    def __init__(self, at_work: bool) -> None:
        self._at_work = at_work

    def at_work(self) -> bool:
        return self._at_work


class Stalls:
    """Says what it is told to say."""

    uptime_s_min = 60.0

    def __init__(self, says: str | None) -> None:
        self.says, self.looks = says, 0

    def look(self) -> str | None:
        self.looks += 1
        return self.says


@pytest.fixture
def fake() -> Iterator[FakeFlink]:
    with FakeFlink() as server:
        yield server


@pytest.fixture
def flink(fake: FakeFlink) -> Iterator[FlinkRest]:
    with FlinkRest(fake.url) as client:
        yield client


def kinds(*sightings: tuple[float, Sighting], job_id: str | None = None) -> list[str | None]:
    """Looks at given times, in seconds → the kind of incident after each."""
    watch = JobWatch(gone_s=10, unreachable_s=60, checkpoint_age_s_max=300, job_id=job_id)
    incidents = [watch.judge(sighting, now_s) for now_s, sighting in sightings]
    return [incident and incident.kind for incident in incidents]


def test_a_healthy_job_is_no_incident() -> None:
    assert kinds((0, HEALTHY), (1e6, HEALTHY)) == [None, None]


def test_a_job_has_a_grace_to_come_back() -> None:
    assert kinds((0, GONE), (9, GONE), (10, GONE)) == [None, None, "gone"]
    assert kinds((0, GONE), (9, HEALTHY), (10, GONE), (19, GONE)) == [None] * 4


def test_a_restarting_job_is_not_gone() -> None:
    restarting = Sighting((Job("a", NAME, "RESTARTING", 0, 60_000),), checkpoint_age_s=50)
    assert kinds((0, restarting), (1000, restarting)) == [None, None]


def test_flink_may_be_away_for_longer() -> None:
    assert kinds((0, AWAY), (59, AWAY), (60, AWAY)) == [None, None, "unreachable"]


def test_the_grace_starts_anew_when_the_trouble_changes() -> None:
    assert kinds((0, AWAY), (55, GONE), (64, GONE), (65, GONE)) == [None, None, None, "gone"]


def test_two_jobs_of_a_dataset_are_one_too_many() -> None:
    two = Sighting((JOB, OTHER))
    assert kinds((0, two), (9, two), (10, two)) == [None, None, "duplicate"]


def test_another_job_in_the_place_of_the_launched_one() -> None:
    assert kinds((0, HEALTHY), (5, Sighting((OTHER,)))) == [None, "replaced"]
    assert kinds((0, HEALTHY), job_id="b") == ["replaced"]


@pytest.mark.parametrize("sighting", [GONE, Sighting((OTHER,)), Sighting((JOB, OTHER)), STALLED, STANDING])
def test_what_a_launcher_does_to_the_job_is_no_incident(sighting: Sighting) -> None:
    wanted = replace(sighting, launcher_at_work=True)
    assert kinds((0, wanted), (1e6, wanted), job_id="a") == [None, None]


def test_after_the_launcher_the_grace_begins_anew() -> None:
    wanted = replace(GONE, launcher_at_work=True)
    assert kinds((0, GONE), (5, wanted), (60, wanted), (61, GONE), (70, GONE), (71, GONE)) == [None] * 5 + ["gone"]


def test_flink_that_is_away_counts_in_an_upgrade_too(flink: FlinkRest) -> None:
    assert look(flink, PREFIX, launchers=AtWork(True)).launcher_at_work
    away = replace(AWAY, launcher_at_work=True)
    assert kinds((0, away), (60, away)) == [None, "unreachable"]


def test_a_job_is_not_missing_while_a_launcher_is_at_work(flink: FlinkRest) -> None:
    assert not has_been_missing(flink, PREFIX, 0.0, AtWork(True))
    assert has_been_missing(flink, PREFIX, 0.0, AtWork(False))


def test_no_checkpoint_for_too_long() -> None:
    assert kinds((0, HEALTHY), (1000, STALLED)) == [None, "stalled"]


def test_a_job_that_was_stalled_from_the_beginning_gets_time_too() -> None:
    assert kinds((0, STALLED), (299, STALLED), (300, STALLED)) == [None, None, "stalled"]


def test_a_job_that_applies_nothing_has_had_its_time() -> None:
    assert kinds((0, HEALTHY), (5, STANDING)) == [None, "standing"]
    assert kinds((0, STANDING)) == ["standing"]


def test_messages_say_what_was_seen() -> None:
    watch = JobWatch(gone_s=0, unreachable_s=0, checkpoint_age_s_max=0)
    assert "does not answer" in watch.judge(AWAY, 0).message  # type: ignore[union-attr]
    assert "a restarted JobManager forgets" in watch.judge(GONE, 0).message  # type: ignore[union-attr]
    failed = Sighting(ended=Job("a", NAME, "FAILED", 0, 1), failure="IOException: disk full")
    assert "(a) as FAILED, because of IOException: disk full." in watch.judge(failed, 0).message  # type: ignore[union-attr]
    assert "(a) is RUNNING; job" in watch.judge(Sighting((JOB, OTHER)), 0).message  # type: ignore[union-attr]
    standing = watch.judge(STANDING, 0)
    assert standing is not None
    assert standing.message == (
        "The streaming job a is RUNNING but applies nothing. Nothing has been applied in partition 3."
    )
    assert "no checkpoint for 301 s (limit 0 s)" in watch.judge(STALLED, 0).message  # type: ignore[union-attr]


def test_look_at_a_running_job(fake: FakeFlink, flink: FlinkRest) -> None:
    fake.add("a", checkpoint_s=7)
    fake.add("old", "FINISHED", age_s=900)
    fake.add("x", name="instrument-cache.prices.v1")
    sighting = look(flink, PREFIX)
    assert [job.job_id for job in sighting.running] == ["a"]
    assert sighting.checkpoint_age_s == 7


def test_look_at_a_failed_job(fake: FakeFlink, flink: FlinkRest) -> None:
    fake.add("a", "FAILED", stacktrace="java.io.IOException: disk full")
    sighting = look(flink, PREFIX)
    assert sighting.running == ()
    assert sighting.failure == "IOException: disk full"


@pytest.mark.parametrize(("age_s", "seen"), [(59, None), (61, "It stands still.")])
def test_a_job_that_has_only_just_begun_is_not_called_still(
    fake: FakeFlink, flink: FlinkRest, age_s: int, seen: str | None
) -> None:
    fake.add("a", age_s=age_s, checkpoint_s=1)
    assert look(flink, PREFIX, Stalls("It stands still.")).standstill == seen


def test_a_job_that_flink_restarts_is_not_called_still(fake: FakeFlink, flink: FlinkRest) -> None:
    fake.add("a", "RESTARTING", age_s=500, checkpoint_s=1)
    assert look(flink, PREFIX, Stalls("It stands still.")).standstill is None


def test_the_standstill_is_looked_for_at_each_look_and_costs_flink_nothing(fake: FakeFlink, flink: FlinkRest) -> None:
    fake.add("a", age_s=500, checkpoint_s=1)
    stalls = Stalls(None)
    for _ in range(3):
        assert look(flink, PREFIX, stalls).standstill is None
    assert stalls.looks == 3
    assert "GET /jobs/a" not in fake.requests


def test_look_without_a_job_asks_nobody_whether_it_stands_still(fake: FakeFlink, flink: FlinkRest) -> None:
    stalls = Stalls("It stands still.")
    assert look(flink, PREFIX, stalls).standstill is None
    assert stalls.looks == 0


@pytest.mark.parametrize("status", [500, 503])
def test_look_never_raises_for_what_flink_answers(fake: FakeFlink, flink: FlinkRest, status: int) -> None:
    fake.status = status
    assert look(flink, PREFIX).error


def test_has_been_missing(fake: FakeFlink, flink: FlinkRest) -> None:
    assert has_been_missing(flink, PREFIX, for_s=0.1, poll_s=0.02)
    fake.add("a")
    assert not has_been_missing(flink, PREFIX, for_s=0)


def test_what_cannot_be_asked_is_not_missing() -> None:
    with FlinkRest(f"http://127.0.0.1:{free_port()}") as flink:
        assert not has_been_missing(flink, PREFIX, for_s=0)


def test_wait_until_stopped(fake: FakeFlink, flink: FlinkRest) -> None:
    fake.add("a", "FINISHED")
    assert "as FINISHED" in str(wait_until_stopped(flink, PREFIX, timeout_s=0))


def test_stop_that_takes_too_long(fake: FakeFlink, flink: FlinkRest) -> None:
    fake.add("a")
    with pytest.raises(Unavailable, match=r"has not stopped after 0\.1 s: job .* is RUNNING"):
        wait_until_stopped(flink, PREFIX, timeout_s=0.1, poll_s=0.02)
