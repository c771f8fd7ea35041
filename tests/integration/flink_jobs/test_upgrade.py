"""Releases on a real cluster, under traffic: forward, back by itself, another parallelism, and a killed launcher."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from feed.topics import ensure_topics
from flink_jobs.launch.upgrade import Outcome
from instrument_cache.flink_rest import FlinkRest, stream_job_name_prefix
from local_stack.instance import DATASET, Instance
from tests.integration.flink_jobs.upgrading import Launcher, Observer
from tests.stack import running_parts

EVAL = b"        assert self._applier is not None"
APPLY, JOB = "flink_jobs/apply.py", "flink_jobs/job.py"


@pytest.fixture(scope="module")
def instance() -> Iterator[Instance]:
    with running_parts("redis", "kafka", "s3", "flink-jobmanager", "flink-taskmanager") as instance:
        ensure_topics(instance.kafka, DATASET, partitions=4, replication=1)
        yield instance


def running(instance: Instance) -> tuple[str, int]:
    """Version and parallelism of the one job that lives."""
    with FlinkRest(instance.url("flink")) as flink:
        prefix = stream_job_name_prefix(DATASET)
        (job,) = [job for job in flink.jobs(prefix) if not job.has_ended]
        vertices = flink._ask("GET", f"/jobs/{job.job_id}")["vertices"]
        return job.name.removeprefix(prefix), vertices[0]["parallelism"]


@pytest.mark.timeout(600)
def test_one_job_and_a_good_release_through_everything(instance: Instance) -> None:
    launcher, observer = Launcher(instance), Observer(instance)
    launcher.publish("2", APPLY, b'"""', b'"""Another release. ')
    launcher.publish("raises", APPLY, EVAL, b'        raise ValueError("planted")\n' + EVAL)
    launcher.publish("no-import", JOB, b"import sys", b"import sys\nimport nothing_of_that_name")
    with observer.at_work():
        assert launcher.run("ensure") == Outcome.DONE, launcher.tail()
        assert running(instance) == ("1", 1)
        assert launcher.run("upgrade", "--to", "2") == Outcome.DONE, launcher.tail()
        assert running(instance) == ("2", 1)
        assert launcher.run("upgrade", "--to", "no-import") == Outcome.REFUSED, launcher.tail()
        assert launcher.run("upgrade", "--to", "raises") == Outcome.WENT_BACK, launcher.tail()
        assert "ValueError: planted" in launcher.tail()
        assert running(instance) == ("2", 1)
        assert launcher.run("scale", "2") == Outcome.DONE, launcher.tail()
        assert running(instance) == ("2", 2)
        launcher.kill_at("submitting", "upgrade", "--to", "raises", after_s=3.0)
        assert launcher.run("ensure") == Outcome.DONE, launcher.tail()
        assert running(instance) == ("2", 2)
        launcher.kill_at("gate", "rollback")
        assert launcher.run("ensure") == Outcome.DONE, launcher.tail()
        assert running(instance) == ("2", 2)
        assert launcher.run("scale", "1") == Outcome.DONE, launcher.tail()
        assert running(instance) == ("2", 1)
    observer.await_newest()
    assert observer.regressions == []
    assert [sample for sample in observer.samples if len(sample) > 1] == []
    assert len(observer.samples) > 500
    past = launcher.versions()["past"]
    assert isinstance(past, list)
    verdicts = [(run["release"], run["verdict"]) for run in reversed(past)]
    assert verdicts == [
        *[("1", "good"), ("raises", "failed"), ("2", "good")],
        *[("raises", "interrupted"), ("1", "interrupted"), ("2", "good")],
    ]
