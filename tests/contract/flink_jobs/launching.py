"""A launcher whose Flink is a stand-in and whose S3 is real, and which can be killed at each of its steps."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from flink_jobs.launch import launcher
from flink_jobs.launch.cluster import Cluster, JobEnded
from flink_jobs.launch.deployment import Deployment
from flink_jobs.launch.gate import GateLimits
from flink_jobs.launch.release import Release
from flink_jobs.launch.release_store import ReleaseStore
from flink_jobs.launch.upgrade import Change, Outcome, Upgrade
from flink_jobs.launch.wanted import Configured, Run, Wanted
from flink_jobs.launch.wanted_log import WantedLog
from flink_jobs.restore_points import RestorePoints
from instrument_cache.connections import s3_client
from instrument_cache.flink_rest import FlinkRest, Job, job_name
from instrument_cache.objects import ObjectStore
from instrument_cache.settings import S3Settings
from tests.unit.plugins.fake_flink import FakeFlink

LIMITS = GateLimits(gate_s=0.01, reject_percent_max=5)


class Killed(BaseException):
    """Stands for SIGKILL: nothing of the product catches it."""


class Steps:
    """Counts the steps that can be seen from outside, and ends the launcher at one of them."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.kill_at: int | None = None

    def step(self, name: str) -> None:
        self.seen.append(name)
        if self.kill_at is not None and len(self.seen) > self.kill_at:
            raise Killed(name)


class StoppingFlink(FakeFlink):
    """A job that is stopped ends, and its savepoint appears in S3."""

    def __init__(self, settings: S3Settings) -> None:
        super().__init__()
        self._s3, self._bucket = s3_client(settings), settings.bucket

    def _job(self, method: str, job_id: str, rest: list[str]) -> tuple[int, Any]:
        if (method, rest) == ("POST", ["stop"]):
            folder = self.bodies[-1]["targetDirectory"]
            path = f"{folder}/savepoint-{job_id[:6]}-{len(self.requests)}"
            self._s3.put_object(Bucket=self._bucket, Key=f"{path.split('/', 3)[3]}/_metadata", Body=b"state")
            self.jobs[job_id]["state"] = "FINISHED"
            self.savepoints.append({"status": {"id": "COMPLETED"}, "operation": {"location": path}})
        return super()._job(method, job_id, rest)


class StepwiseCluster(Cluster):
    """Starts jobs in the stand-in. A version that begins with `broken` does not start, with `unclean` not import."""

    def __init__(self, fake: FakeFlink, dataset: str, steps: Steps) -> None:
        super().__init__(FlinkRest(fake.url), dataset)
        self._fake, self._dataset, self.steps = fake, dataset, steps
        self.starts: list[tuple[str, int, str | None]] = []

    def check(self, release: Release) -> None:
        if release.version.startswith("unclean"):
            raise JobEnded(f"release {release.version!r} does not import: SyntaxError")

    def stop(self, job: Job, folder: str) -> None:
        self.steps.step("stop")
        super().stop(job, folder)
        self.steps.step("stopped")

    def end(self, job_id: str) -> None:
        self.steps.step("end")
        super().end(job_id)
        self.steps.step("ended")

    def start(self, run: Run, release: Release, checkpoints: str, restore_path: str | None) -> Job:
        assert not self.living(), "a second job would live beside it"
        assert run.release == release.version
        self.steps.step("start")
        if release.version.startswith("broken"):
            raise JobEnded("it ended as FAILED")
        name = job_name(self._dataset, release.version)
        more = {"stacktrace": "java.lang.RuntimeException: planted"} if release.version.startswith("raises") else {}
        self._fake.add(run.job_id, name=name, age_s=0, checkpoint_s=0, **more)
        self.starts.append((release.version, run.parallelism, restore_path))
        self.steps.step("started")
        return self.await_running(run.job_id)


class StepwiseLog(WantedLog):
    """The log, killable before and after each write."""

    steps: Steps

    def write(self, wanted: Wanted) -> None:
        self.steps.step("write")
        super().write(wanted)
        self.steps.step("written")


class Launching:
    """One dataset. Each call is a new launcher: it remembers nothing of the one before."""

    def __init__(self, settings: S3Settings, fake: FakeFlink, dataset: str) -> None:
        self._settings, self.fake, self.dataset = settings, fake, dataset
        self.steps = Steps()
        self.client = s3_client(settings)
        self.releases = ReleaseStore(ObjectStore(settings, self.client), dataset)
        self.points = RestorePoints(self.client, settings.bucket, dataset)
        self.cluster = StepwiseCluster(fake, dataset, self.steps)
        self.counters: Mapping[str, int] = {}

    def publish(self, *versions: str) -> None:
        for version in versions:
            self.releases.publish(Release(version, {"flink_jobs/job.py": version.encode()}))

    def log(self) -> WantedLog:
        log = StepwiseLog(ObjectStore(self._settings, self.client), self.dataset, self.client, self._settings.bucket)
        log.steps = self.steps
        return log

    def begin_with(self, version: str) -> None:
        """One job of that release runs, and the steps are counted from here."""
        self.steps = self.cluster.steps = Steps()
        job = Run(generation=1, release=version, parallelism=0, base=None, job_id=uuid.uuid4().hex, began_us=1)
        log = self.log()
        log.read()
        log.write(Wanted(configured=Configured(version, 0), current=job))
        self.fake.jobs.clear()
        self.fake.add(job.job_id, name=job_name(self.dataset, version), checkpoint_s=0)
        self.steps.seen.clear()

    def wanted(self) -> Wanted:
        wanted = self.log().read()
        assert wanted is not None
        return wanted

    def stream(self, version: str) -> Deployment:
        here = Release(version, {"flink_jobs/job.py": version.encode()})
        return Deployment(self.cluster, self.log(), self.releases, self.points, here)

    def ensure(self, version: str = "1", parallelism: int = 0) -> Outcome:
        stream = self.stream(version)
        return launcher.ensure(stream, Configured(version, parallelism), self._upgrade(stream))

    def change(self, release: str | None = None, **what: Any) -> Outcome:
        """Asks for another release (or for the newest good one), with the settings of version 1."""
        stream = self.stream("1")

        def decide(wanted: Wanted) -> Change:
            chosen = release or wanted.newest_good()
            return Change(chosen, what.pop("parallelism", wanted.current.parallelism), **what)

        return launcher.change(stream, Configured("1", 0), self._upgrade(stream), decide)

    def stop(self) -> None:
        launcher.stop(self.stream("1"), Configured("1", 0))

    def living(self) -> list[str]:
        """Names of the versions that live."""
        return [job.name.rpartition(".v")[2] for job in self.cluster.living()]

    def _upgrade(self, stream: Deployment) -> Upgrade:
        return Upgrade(stream, lambda: self.counters, LIMITS)
