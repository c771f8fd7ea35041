"""What of the job's releases and states is still needed, read from the state that its launcher wants."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Final

import msgspec

from instrument_cache.objects import ObjectStore

_STATE: Final = re.compile(r"/(?:savepoints|checkpoints)/[^/]+/(\d+)/")


class Run(msgspec.Struct, frozen=True):
    """A release that runs or ran; `base`: the state from which it began."""

    generation: int
    release: str
    base: str | None


class Past(msgspec.Struct, frozen=True):
    """A run that is over."""

    run: Run
    verdict: str
    ended_us: int


class Configured(msgspec.Struct, frozen=True):
    """The release that the settings name."""

    version: str


class JobState(msgspec.Struct, frozen=True):
    """The newest wanted state (`flink_jobs/launch/wanted.py` writes it), as far as it matters here."""

    configured: Configured
    current: Run
    trial: Run | None = None
    past: tuple[Past, ...] = ()

    def kept_releases(self, before: datetime) -> set[str]:
        """What runs, is on trial or configured, ended since, and the newest good one to go back to."""
        recent = (past.run.release for past in self.past if _ended_since(past, before))
        good = (past.run.release for past in self.past if past.verdict == "good")
        others = (release for release in good if release != self.current.release)
        back = next(others, self.current.release)
        return {self.configured.version, back, *(run.release for run in self._wanted), *recent}

    def kept_generations(self, before: datetime) -> set[int]:
        """Those of what is wanted, of the states from which that began, and of what ended since."""
        recent = {past.run.generation for past in self.past if _ended_since(past, before)}
        bases = {int(found[1]) for run in self._wanted if (found := _STATE.search(run.base or ""))}
        return {run.generation for run in self._wanted} | bases | recent

    @property
    def _wanted(self) -> list[Run]:
        return [self.current, *filter(None, [self.trial])]


def _ended_since(past: Past, before: datetime) -> bool:
    return past.ended_us >= before.timestamp() * 1e6


def job_state(objects: ObjectStore, dataset: str) -> JobState | None:
    """None before the first launch. Raises ObjectStoreUnavailable."""
    newest = max(objects.keys(f"wanted/{dataset}/"), default=None)
    return msgspec.json.decode(objects.get(newest), type=JobState) if newest else None
