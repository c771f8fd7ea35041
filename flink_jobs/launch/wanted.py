"""The wanted state of a dataset's stream: which release should run, which is on trial, and what became of others.

Pure values: `wanted_log.py` keeps them, `deployment.py` makes them true.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from flink_jobs.launch.release import ReleaseError

Verdict = Literal["good", "failed", "interrupted", "rolled back"]
_PAST_MAX: Final = 50


class Configured(msgspec.Struct, frozen=True):
    """What the settings say. Only a *change* of them deploys: else they would undo every upgrade and roll back."""

    version: str
    parallelism: int


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One release at one parallelism (0: the cluster's default), from the state `base` (None: the whole log) on.

    Its checkpoints and savepoints lie in folders that carry the number of its generation, so that no other run is ever
    restored from them. `job_id` is that of its newest submission.
    """

    generation: int
    release: str
    parallelism: int
    base: str | None
    job_id: str
    began_us: int


class Past(msgspec.Struct, frozen=True):
    """A run that was replaced or given up, and why."""

    run: Run
    verdict: Verdict
    reason: str
    ended_us: int


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """`current` should run. While `trial` is there it runs instead, and gives way as soon as anything interrupts it."""

    configured: Configured
    current: Run
    trial: Run | None = None
    past: tuple[Past, ...] = ()

    @property
    def running(self) -> Run:
        """What runs, if all is as it should be."""
        return self.trial or self.current

    @property
    def next_generation(self) -> int:
        known = [self.current, *filter(None, [self.trial]), *(past.run for past in self.past)]
        return max(run.generation for run in known) + 1

    def asked(self, configured: Configured) -> Wanted:
        """The settings were seen as they are now."""
        return msgspec.structs.replace(self, configured=configured)

    def tried(self, run: Run) -> Wanted:
        """`run` goes on trial."""
        return msgspec.structs.replace(self, trial=run)

    def given_up(self, verdict: Verdict, reason: str, now_us: int) -> Wanted:
        """The trial is over, and `current` should run again."""
        assert self.trial is not None, "only a trial can be given up"
        return msgspec.structs.replace(self, trial=None, past=self._with(Past(self.trial, verdict, reason, now_us)))

    def promoted(self, verdict: Verdict, reason: str, now_us: int) -> Wanted:
        """The trial becomes `current`; the verdict is about the run that it replaces."""
        assert self.trial is not None, "only a trial can be promoted"
        past = self._with(Past(self.current, verdict, reason, now_us))
        return msgspec.structs.replace(self, current=self.trial, trial=None, past=past)

    def submitted(self, job_id: str) -> Wanted:
        """What runs gets a new job id."""
        run = msgspec.structs.replace(self.running, job_id=job_id)
        return msgspec.structs.replace(self, **{"trial" if self.trial else "current": run})

    def newest_good(self) -> str:
        """The newest other release that ran well until it was replaced. Raises ReleaseError if there is none."""
        for past in self.past:
            if past.verdict == "good" and past.run.release != self.current.release:
                return past.run.release
        raise ReleaseError(f"no good release ran before {self.current.release!r}; `versions` lists all")

    def _with(self, past: Past) -> tuple[Past, ...]:
        return (past, *self.past)[:_PAST_MAX]
