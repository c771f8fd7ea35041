from __future__ import annotations

from collections.abc import Iterator

import pytest

from instrument_cache.errors import Unavailable
from instrument_cache.flink_rest import (
    Checkpoints,
    FlinkRefused,
    FlinkRest,
    FlinkUnavailable,
    Job,
    JobNotFound,
    flink_rest,
    innermost_cause,
    job_name,
    job_version,
    stream_job_name_prefix,
)
from instrument_cache.settings import Environment
from tests.servers import free_port
from tests.unit.plugins.fake_flink import NOW_MS, FakeFlink

IN_PROGRESS = {"status": {"id": "IN_PROGRESS"}, "operation": None}


@pytest.fixture
def fake() -> Iterator[FakeFlink]:
    with FakeFlink() as server:
        yield server


@pytest.fixture
def flink(fake: FakeFlink) -> Iterator[FlinkRest]:
    with FlinkRest(fake.url) as client:
        yield client


def test_names_tell_dataset_and_version() -> None:
    assert job_name("instruments", job_version(Environment({}))) == "instrument-cache.instruments.v1"
    assert job_version(Environment({"ICACHE_JOB_VERSION": "7"})) == "7"
    assert job_name("prices", "2").startswith(stream_job_name_prefix("prices"))
    assert not job_name("prices2", "2").startswith(stream_job_name_prefix("prices"))


def test_client_of_this_deployment() -> None:
    assert flink_rest(Environment({})).url == "http://127.0.0.1:8081"
    assert flink_rest(Environment({"ICACHE_FLINK_URL": "http://flink:8081"})).url == "http://flink:8081"


def test_overview(flink: FlinkRest) -> None:
    overview = flink.overview()
    assert (overview.taskmanagers, overview.slots_total, overview.slots_free) == (1, 2, 1)
    assert flink.slots_total() == 2


def test_jobs_are_those_of_the_prefix_newest_first(fake: FakeFlink, flink: FlinkRest) -> None:
    fake.add("old", "FINISHED", age_s=100)
    fake.add("new", age_s=10)
    fake.add("other", name="instrument-cache.prices.v1")
    jobs = flink.jobs(stream_job_name_prefix("instruments"))
    assert [(job.job_id, job.has_ended) for job in jobs] == [("new", False), ("old", True)]
    assert {job.now_ms for job in jobs} == {NOW_MS}
    assert len(flink.jobs()) == 3


@pytest.mark.parametrize("state", ["INITIALIZING", "CREATED", "RESTARTING", "FAILING", "CANCELLING", "RECONCILING"])
def test_a_job_on_its_way_has_not_ended(state: str) -> None:
    assert not Job("a", "n", state, 0, 1).has_ended


def test_job_detail(fake: FakeFlink, flink: FlinkRest) -> None:
    fake.add("a", restarts=4)
    fake.add("b", "RESTARTING")
    detail = flink.job("a")
    assert (detail.state, detail.restarts, detail.uptime_ms) == ("RUNNING", 4, 59_500)
    assert flink.job("b").uptime_ms == 0


def test_checkpoints_and_their_age(fake: FakeFlink, flink: FlinkRest) -> None:
    fake.add("a", age_s=60, checkpoint_s=7)
    fake.add("b", age_s=60)
    by_id = {job.job_id: job for job in flink.jobs()}
    newest = flink.checkpoints("a")
    assert newest == Checkpoints(3, 1, 0, 1, "s3://b/chk-3", NOW_MS - 7000)
    assert newest.age_s(by_id["a"]) == 7
    assert flink.checkpoints("b").age_s(by_id["b"]) == 60


def test_source_records(fake: FakeFlink, flink: FlinkRest) -> None:
    fake.add("a", records=1234.0)
    assert flink.source_records("a") == 1234


def test_failure_is_one_line(fake: FakeFlink, flink: FlinkRest) -> None:
    fake.add("a", "FAILED", stacktrace="org.x.Outer: no\n\tat b\nCaused by: java.io.IOException: disk full\n\tat c")
    fake.add("b")
    assert flink.failure("a") == "IOException: disk full"
    assert flink.failure("b") is None


def test_cause_without_stack() -> None:
    assert innermost_cause("") == ""
    assert innermost_cause("Savepoint expired.") == "Savepoint expired."


@pytest.mark.parametrize(
    "end", ["\n\n\tat org.apache.beam.A(A.java:1)\n\t... 3 more", "\n\tat org.apache.beam.A(A.java:1)", ""]
)
def test_the_innermost_cause_of_a_python_worker_is_pythons(end: str) -> None:
    python = (
        'Traceback (most recent call last):\n  File "apply.py", line 4, in eval\n    x()\nValueError: no such field'
    )
    java = f"java.lang.RuntimeException: Error received from SDK harness for instruction 1: {python}{end}"
    assert innermost_cause(f"a.FlinkException: b\nCaused by: {java}") == "ValueError: no such field"
    assert innermost_cause("a.B: Traceback (most recent call last):\n") == "B: Traceback (most recent call last):"


def test_stop_with_savepoint_waits_for_the_path(fake: FakeFlink, flink: FlinkRest) -> None:
    fake.add("a")
    fake.savepoints = [IN_PROGRESS, {"status": {"id": "COMPLETED"}, "operation": {"location": "s3://b/savepoint-a"}}]
    assert flink.stop_with_savepoint("a", folder="s3://b") == "s3://b/savepoint-a"
    assert fake.bodies == [{"drain": False, "targetDirectory": "s3://b"}]


def test_savepoint_that_fails_tells_why(fake: FakeFlink, flink: FlinkRest) -> None:
    fake.add("a")
    cause = {"class": "x", "stack-trace": "a.CompletionException: a\nCaused by: a.CheckpointException: task has failed"}
    fake.savepoints = [{"status": {"id": "COMPLETED"}, "operation": {"failure-cause": cause}}]
    with pytest.raises(FlinkRefused, match="savepoint of job a failed: CheckpointException: task has failed"):
        flink.stop_with_savepoint("a")


def test_savepoint_that_is_late(fake: FakeFlink, flink: FlinkRest) -> None:
    fake.add("a")
    fake.savepoints = [IN_PROGRESS] * 2
    with pytest.raises(FlinkRefused, match="not complete after 0 s"):
        flink.stop_with_savepoint("a", timeout_s=0)


def test_cancel(fake: FakeFlink, flink: FlinkRest) -> None:
    fake.add("a")
    flink.cancel("a")
    assert fake.requests == ["PATCH /jobs/a?mode=cancel"]


def test_unknown_job(flink: FlinkRest) -> None:
    with pytest.raises(JobNotFound, match="Job nope not found"):
        flink.job("nope")


def test_no_leader_yet_is_unavailable(fake: FakeFlink, flink: FlinkRest) -> None:
    fake.status = 503
    with pytest.raises(FlinkUnavailable, match="not ready: Service temporarily unavailable"):
        flink.jobs()


def test_other_errors_are_refusals(fake: FakeFlink, flink: FlinkRest) -> None:
    fake.status = 500
    with pytest.raises(FlinkRefused, match="refused") as caught:
        flink.jobs()
    assert not isinstance(caught.value, Unavailable)


def test_nobody_listens() -> None:
    with FlinkRest(f"http://127.0.0.1:{free_port()}") as flink, pytest.raises(Unavailable, match="does not answer"):
        flink.jobs()
