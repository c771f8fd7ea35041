"""Another release, or another parallelism: savepoint, trial, and back again if the trial is not passed.

1. The release is imported in a process of its own, while the job still runs.
2. The job stops with a savepoint.
3. The wanted state says that the new run is on trial, and from which state.
4. The new run starts and is watched.
5. It becomes the current run; or it is given up, and the current run goes on from the savepoint of step 2. What the
   failed release applied is in the store already, and the store's guard makes the second time harmless.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

import structlog

from flink_jobs.launch.cluster import JobEnded
from flink_jobs.launch.deployment import Deployment
from flink_jobs.launch.gate import Counters, GateLimits, watch
from flink_jobs.launch.wanted import Verdict
from flink_jobs.launch.wanted_log import Overtaken
from instrument_cache.errors import InstrumentCacheError, Unavailable

logger = structlog.get_logger()

STATES: Final = ("newest", "before", "beginning")


class Outcome(IntEnum):
    """What became of it, as the exit code of the process."""

    DONE = 0
    WENT_BACK = 3  # the new run was given up, the one before runs again
    REFUSED = 4  # before anything was touched
    NOTHING_RUNS = 5  # neither would start; the next `ensure` tries again


@dataclass(frozen=True)
class Change:
    """What should run instead.

    `state` is where it begins: `newest` (a savepoint made now), `before` (the state from which the present run began:
    what it rejected or applied wrongly is read again) or `beginning` (of the log). `verdict` is about the run that it
    replaces.
    """

    release: str
    parallelism: int
    state: str = STATES[0]
    verdict: Verdict = "good"


class Upgrade:
    """Carries out a change. `counters` are those of the dataset's store.

    `reason` is why it was refused or given up. `without_job_s` is how long no job ran until the new one did.
    """

    reason = ""
    without_job_s = 0.0

    def __init__(self, stream: Deployment, counters: Counters, limits: GateLimits) -> None:
        self._stream = stream
        self._counters = counters
        self._limits = limits
        self._stopped_s = 0.0

    def deploy(self, change: Change) -> Outcome:
        """The stream's wanted state must have been read and settled. Raises Overtaken if another launcher took over."""
        try:
            self._check(change)
            before = dict(self._counters())
        except InstrumentCacheError as error:
            self.reason = str(error)
            logger.error("refused", release=change.release, error=self.reason)
            return Outcome.REFUSED
        self._stop_and_put_on_trial(change)
        if reason := self._try(before):
            return self._go_back(reason)
        self._stream.promote(change.verdict, f"replaced by {change.release}")
        logger.info("deployed", release=change.release, parallelism=change.parallelism)
        return Outcome.DONE

    def _check(self, change: Change) -> None:
        """Raises what speaks against the change before anything is touched."""
        slots = self._stream.cluster.rest.slots_total()
        if change.parallelism > slots:
            raise JobEnded(f"parallelism {change.parallelism} needs as many slots, the cluster has {slots}; add some")
        self._stream.cluster.check(self._stream.releases.fetch(change.release))

    def _stop_and_put_on_trial(self, change: Change) -> None:
        stream = self._stream
        stream.stop_current()
        self._stopped_s = time.monotonic()
        bases = dict(zip(STATES, (stream.newest_state(), stream.wanted.current.base, None), strict=True))
        stream.put_on_trial(change.release, change.parallelism, bases[change.state])

    def _try(self, before: Mapping[str, int]) -> str | None:
        """None if the run on trial may stay, else why not."""
        trial = self._stream.wanted.trial
        assert trial is not None, "it was put on trial"
        try:
            job = self._stream.start([trial.base])
            self.without_job_s = time.monotonic() - self._stopped_s
            logger.info("gate", job=job.job_id, release=trial.release, gate_s=self._limits.gate_s)
            return watch(self._stream.cluster.rest, job.job_id, self._counters, before, self._limits)
        except Overtaken:
            raise
        except InstrumentCacheError as error:
            return str(error)

    def _go_back(self, reason: str) -> Outcome:
        stream, self.reason = self._stream, reason
        try:
            stream.give_up("failed", reason)
            stream.resume()
        except Overtaken:
            raise
        except Unavailable as error:
            logger.error("nothing_runs", error=str(error), action="the next `ensure` starts the current release")
            return Outcome.NOTHING_RUNS
        logger.error("went_back", release=stream.wanted.current.release, reason=reason)
        return Outcome.WENT_BACK
