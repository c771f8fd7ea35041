"""The disaster-recovery drill: a second region from nothing, out of the other region's backup, until it serves.

The time to recovery (RTO) runs from the first step until REST answers are right; the comparison with the source that
follows only proves it. What may be lost (RPO) is told twice: with the log, which the region catches up from, and
without it, when the log is lost too and the backup is all there is.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, TypeVar

from instrument_cache.drills.site import Compared, Restored, Served, Site

# What `tell` hears of, in this order: build, restore, catch up, serve, compare.
STEPS: Final = 5
Tell = Callable[[str], None]
T = TypeVar("T")


@dataclass(frozen=True)
class DrTargets:
    """In seconds. `rpo_s_max`: what the region may lack with the log; `backup_age_s_max`: without it."""

    rto_s_max: float = 120.0
    rpo_s_max: float = 0.0
    backup_age_s_max: float = 3600.0


@dataclass(frozen=True)
class DrResult:
    """What the drill came to. `took_s`: step → seconds."""

    restored: Restored
    caught_up: int
    served: Served
    compared: Compared
    took_s: dict[str, float]
    backup_age_s: float

    @property
    def rto_s(self) -> float:
        return sum(seconds for step, seconds in self.took_s.items() if step != "compare")

    @property
    def rpo_s(self) -> float:
        return self.compared.behind_s

    def misses(self, targets: DrTargets) -> list[str]:
        """Which targets were not reached, each as a sentence."""
        found = []
        if self.rto_s > targets.rto_s_max:
            found.append(f"the region served after {self.rto_s:.0f} s (target {targets.rto_s_max:g} s)")
        if self.rpo_s > targets.rpo_s_max:
            found.append(f"it lacks changes of the last {self.rpo_s:.0f} s (target {targets.rpo_s_max:g} s)")
        if self.backup_age_s > targets.backup_age_s_max:
            found.append(f"the backup is {self.backup_age_s:.0f} s old (target {targets.backup_age_s_max:g} s)")
        if not self.compared.is_equal:
            found.append(f"{self.compared.behind} instruments are behind the source and {self.compared.extra} too many")
        if self.served.right < self.served.asked or not self.served.asked:
            found.append(f"{self.served.right} of {self.served.asked} REST answers were right")
        return found

    def numbers(self) -> dict[str, float]:
        """For the report."""
        steps = {f"{step}_s": round(seconds, 2) for step, seconds in self.took_s.items()}
        return {
            "rto_s": round(self.rto_s, 2),
            "rpo_s": round(self.rpo_s, 2),
            "backup_age_s": round(self.backup_age_s, 1),
            "entries": self.restored.entries,
            "caught_up": self.caught_up,
            "keys": self.compared.keys,
            "behind": self.compared.behind,
            "extra": self.compared.extra,
            "asked": self.served.asked,
            "right": self.served.right,
            **steps,
        }


def run_dr(
    site: Site,
    tell: Tell = lambda _: None,
    monotonic: Callable[[], float] = time.monotonic,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> DrResult:
    """Carry the drill out; the site is torn down, however it ends. Raises what a step raises."""
    steps = _Steps(tell, monotonic)
    disaster = now()
    try:
        steps.run("build", site.build)
        restored = steps.run("restore", site.restore)
        caught_up = steps.run("catch_up", site.catch_up)
        served = steps.run("serve", site.serve)
        compared = steps.run("compare", site.compare)
    finally:
        site.tear_down()
    age_s = (disaster - restored.started).total_seconds()
    return DrResult(restored, caught_up, served, compared, steps.took_s, max(age_s, 0.0))


class _Steps:
    """Takes the time of each step."""

    def __init__(self, tell: Tell, monotonic: Callable[[], float]) -> None:
        self._tell, self._monotonic = tell, monotonic
        self.took_s: dict[str, float] = {}

    def run(self, name: str, action: Callable[[], T]) -> T:
        began_s = self._monotonic()
        done = action()
        self.took_s[name] = self._monotonic() - began_s
        self._tell(f"{name}: {self.took_s[name]:.1f} s")
        return done
