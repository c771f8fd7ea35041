"""One dataset's stream as its launchers see it: the wanted state, the releases, the restore points and the cluster.

The steps here are what `ensure`, `stop` and `upgrade` are made of. Each can be cut off anywhere: the wanted state is
written before the step that needs it, and what runs is compared with it again by the next launcher.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from typing import Final

import structlog

from flink_jobs.launch.cluster import Cluster, JobEnded
from flink_jobs.launch.release import Release, ReleaseError
from flink_jobs.launch.release_store import ReleaseStore
from flink_jobs.launch.wanted import Configured, Run, Verdict, Wanted
from flink_jobs.launch.wanted_log import WantedLog
from flink_jobs.restore_points import RestorePoints
from instrument_cache.errors import Unavailable
from instrument_cache.flink_rest import Job

logger = structlog.get_logger()

# How many restore points of a run are tried, newest first, before its base and then the beginning of the log. That is
# slow but right too: what is applied already is a duplicate to the store.
_RESTORE_TRIES: Final = 2


class Deployment:
    """`wanted` is the state as it was last read or written here. `here` is the code of this image."""

    wanted: Wanted

    def __init__(
        self, cluster: Cluster, log: WantedLog, releases: ReleaseStore, points: RestorePoints, here: Release
    ) -> None:
        self.cluster, self.releases, self.here = cluster, releases, here
        self._log, self._points = log, points

    def read(self, configured: Configured) -> None:
        """Read the wanted state. At the first launch it is made: this image's release, from the newest old state."""
        self.wanted = self._log.read() or self._first(configured)

    def _first(self, configured: Configured) -> Wanted:
        self.publish_here()
        for job in self.cluster.living():  # of a product that knew no generations yet
            self.cluster.stop(job, self._points.savepoint_folder(1))
        base = self._points.newest_without_generation()
        current = _run(1, self.here.version, configured.parallelism, base.path if base else None)
        wanted = Wanted(configured=configured, current=current)
        self._log.write(wanted)
        return wanted

    def publish_here(self) -> None:
        """Keep this image's code as a release. If its name is taken, the release of that name counts."""
        try:
            self.releases.publish(self.here)
        except ReleaseError as error:
            logger.warning("other_code_has_this_name", release=self.here.version, error=str(error))

    def write(self, wanted: Wanted) -> None:
        """Raises Overtaken if another launcher changed the wanted state meanwhile."""
        self._log.write(wanted)
        self.wanted = wanted

    def settle(self) -> None:
        """A trial that nobody watches any more has not been passed: give it up. Then end what should not run."""
        if self.wanted.trial:
            self.give_up("interrupted", "its launcher ended before the trial was over")
        self._end_strangers()

    def give_up(self, verdict: Verdict, reason: str) -> None:
        """End the trial, its job included. What it applied is in the store; its state is not used again."""
        trial = self.wanted.trial
        assert trial is not None, "only a trial can be given up"
        logger.warning("trial_given_up", release=trial.release, verdict=verdict, reason=reason)
        self.write(self.wanted.given_up(verdict, reason, _now_us()))
        self.cluster.end(trial.job_id)

    def _end_strangers(self) -> None:
        """Nothing is lost with them: the job that should run reads the same log."""
        for job in self.cluster.living():
            if job.job_id != self.wanted.current.job_id:
                logger.warning("ending_stranger", job=job.job_id, name=job.name)
                self.cluster.end(job.job_id)

    def living(self) -> Job | None:
        """The job that should run, if it lives."""
        wanted = self.wanted.running.job_id
        return next((job for job in self.cluster.living() if job.job_id == wanted), None)

    def stop_current(self) -> None:
        """With a savepoint, into the folder of its generation."""
        if job := self.living():
            self.cluster.stop(job, self._points.savepoint_folder(self.wanted.current.generation))

    def newest_state(self) -> str | None:
        """From where the current run would go on; None: from the beginning of the log."""
        return self._restore_paths()[0]

    def resume(self) -> Job:
        """Start the current run from its newest state. Raises Unavailable if it starts from none of its states."""
        return self.start(self._restore_paths())

    def _restore_paths(self) -> list[str | None]:
        run = self.wanted.current
        own: list[str | None] = [point.path for point in self._points.of(run.generation)[:_RESTORE_TRIES]]
        return list(dict.fromkeys([*own, run.base, None]))

    def start(self, restore_paths: Sequence[str | None]) -> Job:
        """Start what should run from the first state that works. Raises Unavailable if none does."""
        release, reason = self.releases.fetch(self.wanted.running.release), ""
        for path in restore_paths:
            self._renew_job_id()
            try:
                checkpoints = self._points.checkpoint_folder(self.wanted.running.generation)
                job = self.cluster.start(self.wanted.running, release, checkpoints, path)
            except JobEnded as error:
                reason = str(error)
                logger.error("start_failed", release=release.version, restore_point=path, error=reason)
            else:
                logger.info("job_started", job=job.job_id, name=job.name, restored_from=path)
                return job
        raise Unavailable(
            f"release {release.version!r} did not start from any of {len(restore_paths)} states: {reason}"
        )

    def _renew_job_id(self) -> None:
        """A job id is used until Flink has seen it: so a submission that was thought lost cannot come besides."""
        run = self.wanted.running
        if self.cluster.knows(run.job_id) or self._points.has_checkpoints(run.generation, run.job_id):
            self.write(self.wanted.submitted(_new_job_id()))

    def put_on_trial(self, release: str, parallelism: int, base: str | None) -> None:
        """From here on the release should run, until the trial is over; it does not run yet."""
        self.write(self.wanted.tried(_run(self.wanted.next_generation, release, parallelism, base)))

    def promote(self, verdict: Verdict, reason: str) -> None:
        """The trial went well; `verdict` is about the run that it replaces."""
        self.write(self.wanted.promoted(verdict, reason, _now_us()))


def _run(generation: int, release: str, parallelism: int, base: str | None) -> Run:
    return Run(
        generation=generation,
        release=release,
        parallelism=parallelism,
        base=base,
        job_id=_new_job_id(),
        began_us=_now_us(),
    )


def _new_job_id() -> str:
    return uuid.uuid4().hex


def _now_us() -> int:
    return time.time_ns() // 1000
