"""The disaster-recovery drill over a twin of the site."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest

from instrument_cache.drills.dr import STEPS, DrResult, DrTargets, run_dr
from instrument_cache.drills.site import Compared, Restored, Served
from instrument_cache.errors import DrillFailed

DISASTER = datetime(2026, 1, 1, 12, tzinfo=UTC)


class TwinSite:
    """Notes what is done to it, and fails at one step if it is told to."""

    def __init__(self, fails_at: str = "", compared: Compared | None = None, served: Served | None = None) -> None:
        self._fails_at, self.done = fails_at, list[str]()
        self._compared, self._served = compared or Compared(1000, 0, 0), served or Served(200, 200)

    def _do(self, step: str) -> None:
        self.done.append(step)
        if step == self._fails_at:
            raise DrillFailed(f"{step} failed")

    def build(self) -> None:
        self._do("build")

    def restore(self) -> Restored:
        self._do("restore")
        return Restored("20260101T113000Z-0", DISASTER - timedelta(minutes=30), 1000)

    def catch_up(self) -> int:
        self._do("catch_up")
        return 50

    def serve(self) -> Served:
        self._do("serve")
        return self._served

    def compare(self) -> Compared:
        self._do("compare")
        return self._compared

    def tear_down(self) -> None:
        self._do("tear_down")


def drilled(site: TwinSite) -> DrResult:
    """Each step takes ten seconds."""
    clock = count(0, 10)
    return run_dr(site, monotonic=lambda: float(next(clock)), now=lambda: DISASTER)


def test_the_region_is_built_step_by_step_and_torn_down() -> None:
    site, told = TwinSite(), list[str]()
    run_dr(site, told.append)
    assert site.done == ["build", "restore", "catch_up", "serve", "compare", "tear_down"]
    assert len(told) == STEPS


def test_time_to_recovery_ends_when_rest_serves() -> None:
    result = drilled(TwinSite())
    assert result.took_s == dict.fromkeys(("build", "restore", "catch_up", "serve", "compare"), 10)
    assert result.rto_s == 40
    assert result.backup_age_s == 1800
    assert result.misses(DrTargets()) == []
    assert result.numbers()["rto_s"] == 40


@pytest.mark.parametrize("step", ["build", "restore", "catch_up", "serve", "compare"])
def test_it_is_torn_down_wherever_it_fails(step: str) -> None:
    site = TwinSite(fails_at=step)
    with pytest.raises(DrillFailed, match=f"{step} failed"):
        drilled(site)
    assert site.done[-2:] == [step, "tear_down"]


@pytest.mark.parametrize(
    ("site", "targets", "sentence"),
    [
        (TwinSite(), DrTargets(rto_s_max=39), r"served after 40 s \(target 39 s\)"),
        (TwinSite(), DrTargets(backup_age_s_max=60), r"the backup is 1800 s old \(target 60 s\)"),
        (
            TwinSite(compared=Compared(9, 1, 0, behind_s=7)),
            DrTargets(),
            r"lacks changes of the last 7 s",
        ),
        (TwinSite(compared=Compared(9, 0, 2)), DrTargets(), "0 instruments are behind the source and 2 too many"),
        (TwinSite(served=Served(200, 199)), DrTargets(), "199 of 200 REST answers were right"),
        (TwinSite(served=Served(0, 0)), DrTargets(), "0 of 0 REST answers were right"),
    ],
)
def test_a_missed_target_is_a_sentence(site: TwinSite, targets: DrTargets, sentence: str) -> None:
    assert re.search(sentence, "; ".join(drilled(site).misses(targets)))
