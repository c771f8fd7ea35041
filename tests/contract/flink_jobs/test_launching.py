"""Exactly one job, and a good one: whatever is asked for, and wherever the launcher is killed."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest

from flink_jobs.launch.launcher import ensure
from flink_jobs.launch.release import ReleaseError
from flink_jobs.launch.upgrade import Outcome, Upgrade
from flink_jobs.launch.wanted import Configured
from flink_jobs.launch.wanted_log import Overtaken
from instrument_cache.errors import ObjectStoreUnavailable, Unavailable
from instrument_cache.flink_rest import job_name
from instrument_cache.objects import ObjectStore
from instrument_cache.settings import S3Settings
from tests.contract.flink_jobs.launching import LIMITS, Killed, Launching


def test_the_first_launch_publishes_and_starts_what_is_here(launching: Launching) -> None:
    assert launching.ensure("1") is Outcome.DONE
    assert launching.living() == ["1"]
    assert launching.releases.fetch("1").files == {"flink_jobs/job.py": b"1"}
    assert launching.ensure("1") is Outcome.DONE
    assert launching.cluster.starts == [("1", 0, None)], "the second call recognises it"


def test_a_lost_job_goes_on_from_its_newest_state_and_under_another_id(launching: Launching) -> None:
    launching.ensure()
    first = launching.wanted().current
    put_point(launching, f"{launching.points.checkpoint_folder(1)}/{first.job_id}/chk-7")
    launching.fake.jobs.clear()  # a JobManager that was started anew
    launching.ensure()
    assert launching.cluster.starts[-1][2] == f"{launching.points.checkpoint_folder(1)}/{first.job_id}/chk-7"
    assert launching.wanted().current.job_id != first.job_id


def test_a_submission_that_never_came_keeps_its_id(launching: Launching) -> None:
    """Should it come after all, Flink refuses it as a second job of that id."""
    launching.steps.kill_at = 3  # written, and about to start
    with pytest.raises(Killed, match="start"):
        launching.ensure()
    before = launching.wanted().current.job_id
    launching.steps.kill_at = None
    launching.ensure()
    assert launching.wanted().current.job_id == before


def test_a_stopped_stream_goes_on_from_its_savepoint(launching: Launching) -> None:
    launching.ensure()
    launching.stop()
    assert launching.living() == []
    launching.stop()
    launching.ensure()
    path = launching.cluster.starts[-1][2]
    assert path is not None
    assert path.startswith(launching.points.savepoint_folder(1))


def test_jobs_that_nobody_wants_are_ended(launching: Launching) -> None:
    launching.ensure()
    launching.fake.add("stranger", name=job_name(launching.dataset, "by-hand"))
    launching.fake.add("other", name=job_name("other", "1"))
    launching.ensure()
    assert launching.living() == ["1"]
    assert launching.fake.jobs["other"]["state"] == "RUNNING"


def test_a_job_from_before_there_were_releases_hands_its_state_over(launching: Launching) -> None:
    launching.fake.add("old", name=job_name(launching.dataset, "1"))
    launching.ensure("new")
    assert launching.living() == ["new"]
    assert str(launching.cluster.starts[0][2]).startswith(launching.points.savepoint_folder(1))


def test_upgrade_goes_on_from_a_savepoint(launching: Launching) -> None:
    launching.ensure()
    launching.publish("2")
    assert launching.change("2") is Outcome.DONE
    assert launching.living() == ["2"]
    assert str(launching.cluster.starts[-1][2]).startswith(launching.points.savepoint_folder(1))
    assert launching.change("2") is Outcome.DONE, "asked for again, it is done already"
    assert len(launching.cluster.starts) == 2


@pytest.mark.parametrize("bad", ["broken", "raises"])
def test_a_release_that_fails_goes_back_to_the_savepoint_before_it(launching: Launching, bad: str) -> None:
    launching.ensure()
    launching.publish(bad)
    assert launching.change(bad) is Outcome.WENT_BACK
    assert launching.living() == ["1"]
    assert str(launching.cluster.starts[-1][2]).startswith(launching.points.savepoint_folder(1))
    assert [past.verdict for past in launching.wanted().past] == ["failed"]


def test_the_state_of_a_failed_release_is_never_used(launching: Launching) -> None:
    launching.ensure()
    launching.publish("raises")
    launching.change("raises")
    failed = launching.wanted().past[0].run
    put_point(launching, f"{launching.points.checkpoint_folder(failed.generation)}/{failed.job_id}/chk-99")
    launching.fake.jobs.clear()
    launching.ensure()
    assert str(launching.cluster.starts[-1][2]).startswith(launching.points.savepoint_folder(1))


@pytest.mark.parametrize("bad", ["unclean", "never-published"])
def test_a_release_that_cannot_run_is_refused_while_the_job_runs_on(launching: Launching, bad: str) -> None:
    launching.ensure()
    launching.publish("unclean")
    assert launching.change(bad) is Outcome.REFUSED
    assert launching.living() == ["1"]
    assert launching.steps.seen.count("stop") == 0


def test_more_slots_than_there_are_is_refused(launching: Launching) -> None:
    launching.ensure()
    assert launching.change("1", parallelism=3) is Outcome.REFUSED
    assert launching.change("1", parallelism=1) is Outcome.DONE
    assert launching.cluster.starts[-1][:2] == ("1", 1)


def test_rollback_goes_to_the_newest_good_release(launching: Launching) -> None:
    launching.ensure()
    launching.publish("2", "raises")
    launching.change("2")
    launching.change("raises")
    assert launching.change(verdict="rolled back") is Outcome.DONE
    assert launching.living() == ["1"]
    with pytest.raises(ReleaseError, match="no good release"):
        launching.change()


def test_rollback_can_read_again_what_the_release_saw(launching: Launching) -> None:
    launching.ensure()
    launching.publish("2")
    launching.change("2")
    before = launching.wanted().current.base
    launching.change(state="before", verdict="rolled back")
    assert launching.cluster.starts[-1] == ("1", 0, before)
    launching.change("2", state="beginning")
    assert launching.cluster.starts[-1] == ("2", 0, None)


def test_settings_that_change_deploy_once_and_do_not_undo_what_was_done_by_hand(launching: Launching) -> None:
    launching.ensure("1")
    launching.publish("3")
    launching.change("3")
    assert launching.ensure("1") is Outcome.DONE
    assert launching.living() == ["3"], "the setting is as it was"
    assert launching.ensure("2", parallelism=2) is Outcome.DONE
    assert (launching.living(), launching.cluster.starts[-1][:2]) == (["2"], ("2", 2))
    assert launching.ensure("raises", parallelism=2) is Outcome.WENT_BACK
    assert launching.ensure("raises", parallelism=2) is Outcome.DONE, "it is not tried again"
    assert launching.living() == ["2"]


def test_a_known_name_with_other_code_does_not_stop_the_stream(launching: Launching) -> None:
    launching.publish("2")
    launching.ensure("1")
    with pytest.raises(ReleaseError, match="give this code another ICACHE_JOB_VERSION"):
        launching.releases.publish(dataclasses.replace(launching.releases.fetch("2"), files={"x": b""}))


def test_neither_starts_is_said_and_made_good_by_the_next_ensure(launching: Launching) -> None:
    launching.ensure()
    launching.publish("broken")
    start, launching.cluster.start = launching.cluster.start, _refuse  # type: ignore[method-assign]
    assert launching.change("broken") is Outcome.NOTHING_RUNS
    launching.cluster.start = start  # type: ignore[method-assign]
    launching.ensure()
    assert launching.living() == ["1"]


def _refuse(*_: object) -> None:
    raise Unavailable("no slot")


def test_a_launcher_that_was_overtaken_finds_out_before_it_starts_anything(launching: Launching) -> None:
    launching.ensure()
    launching.publish("2", "3")
    slow = launching.stream("1")
    slow.read(Configured("1", 0))
    launching.change("3")
    with pytest.raises(Overtaken):
        slow.put_on_trial("2", 0, None)
    assert launching.living() == ["3"]


def test_without_s3_one_running_job_is_left_alone(launching: Launching, s3: S3Settings) -> None:
    launching.ensure()
    stream = launching.stream("1")
    away = ObjectStore(dataclasses.replace(s3, bucket="no-such-bucket"))
    stream._log._objects = away
    assert ensure(stream, Configured("1", 0), Upgrade(stream, dict, LIMITS)) is Outcome.DONE
    launching.fake.jobs.clear()
    with pytest.raises(ObjectStoreUnavailable):
        ensure(stream, Configured("1", 0), Upgrade(stream, dict, LIMITS))


Operation = Callable[[Launching], object]
# Scaling and rolling back take the same way as an upgrade.
OPERATIONS: dict[str, tuple[Operation, set[str]]] = {
    "good upgrade": (lambda it: it.change("2"), {"1", "2"}),
    "bad upgrade": (lambda it: it.change("raises"), {"1"}),
    "release that does not start": (lambda it: it.change("broken"), {"1"}),
    "changed setting": (lambda it: it.ensure("2"), {"1", "2"}),
    "stop": (lambda it: it.stop(), {"1"}),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_killed_at_each_step_the_next_ensure_finds_one_job_and_a_good_version(launching: Launching, name: str) -> None:
    operation, good = OPERATIONS[name]
    launching.publish("1", "2", "raises", "broken")
    for kill_at in range(100):
        launching.begin_with("1")
        launching.steps.kill_at = kill_at
        try:
            operation(launching)
        except Killed:
            launching.steps.kill_at = None
            launching.ensure()
            assert len(launching.living()) == 1
            assert set(launching.living()) <= good
            assert launching.wanted().trial is None
        else:
            break
    assert kill_at == len(launching.steps.seen) >= 2, "every step was its last one once"


def put_point(launching: Launching, path: str) -> None:
    bucket, _, key = path.removeprefix("s3://").partition("/")
    launching.client.put_object(Bucket=bucket, Key=f"{key}/_metadata", Body=b"state")
