"""What a run came to, in one sentence and a few numbers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec

from instrument_cache.backup.copying import Copied
from instrument_cache.backup.export import Exported
from instrument_cache.backup.retention import Protected, Removed
from instrument_cache.backup.verify import Verified
from instrument_cache.reports import Report

OPERATION: Final = "backup"
# The lock's end, and the age by which backups are removed, are off by as much.
_CLOCK_AHEAD_S_MAX: Final = 60.0


class Steps(msgspec.Struct):
    """What each step of a run returned; None for a step that failed or was not reached."""

    exported: Exported | None = None
    verified: Verified | None = None
    marked: list[str] | None = None
    copied: Copied | None = None
    removed: Removed | None = None
    protected: Protected | None = None
    clock_ahead_s: float = 0.0

    @property
    def exported_entries(self) -> int:
        """Of the backup that was made; 0 if there is none."""
        return self.exported.entries if self.exported else 0

    def regions(self) -> set[str]:
        """The regions that have this run's backup, marked as good."""
        copied = self.copied.copied if self.copied else {}
        name = self.exported.name if self.exported else ""
        return {*(self.marked or ()), *(region for region, names in copied.items() if name in names)}

    def faults(self, regions: Sequence[str]) -> Iterator[str]:
        """What somebody has to see; none for a run without fault."""
        if self.exported is None:
            yield "no backup was made"
        elif self.verified is None:
            yield f"{self.exported.name} was not proved"
        elif self.marked is None:
            yield f"{self.exported.name} was proved but not marked as good"
        else:
            yield from self._lacking(regions)
        if self.copied and self.copied.failed:
            yield f"{len(self.copied.failed)} older backups are whole in no region"
        if abs(self.clock_ahead_s) > _CLOCK_AHEAD_S_MAX:
            yield f"the clock here is {self.clock_ahead_s:+.0f} s off that of Redis"

    def _lacking(self, regions: Sequence[str]) -> Iterator[str]:
        for region in sorted(set(regions) - self.regions()):
            yield f"the {region} region lacks it: {self._why(region)}"

    def _why(self, region: str) -> str:
        for step in (self.exported, self.copied, self.removed):
            if step and region in step.missing:
                return step.missing[region]
        return "it has no proved copy; `icache backup copy` gives it one"


def report(
    dataset: str, run_id: str, started_at: str, finished_at: str, steps: Steps, regions: Sequence[str]
) -> Report:
    """The report of a run; `ok` only without any fault. Times are UTC, ISO; `regions`: all that there are."""
    faults = list(steps.faults(regions))
    sentence = "; ".join(faults) or _success(steps)
    details: dict[str, Any] = msgspec.to_builtins(steps)
    return Report(dataset, OPERATION, run_id, started_at, finished_at, not faults, sentence, _numbers(steps), details)


def _success(steps: Steps) -> str:
    assert steps.exported is not None
    regions = " and ".join(sorted(steps.regions()))
    return f"{steps.exported.name}: {steps.exported.entries} entries, restored, compared, and good in {regions}"


def _numbers(steps: Steps) -> dict[str, float]:
    """Of this run's backup; `regions`: how many have it."""
    numbers: dict[str, float] = {"regions": len(steps.regions()), "clock_ahead_s": steps.clock_ahead_s}
    if steps.exported:
        numbers |= {"entries": steps.exported.entries, "bytes": steps.exported.bytes}
    if steps.verified:
        numbers["compared"] = steps.verified.compared
    if steps.removed:
        numbers["removed"] = sum(map(len, steps.removed.removed.values()))
    return numbers
