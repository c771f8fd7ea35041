"""Minutes → error budgets and burn rates. Pure: no clock, no connection."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from instrument_cache.slo.objectives import MONTH_MINUTES, Objective
from instrument_cache.slo.sample import MINUTE_S, Sample

_HOUR_S: Final = 3600
# Name → length. A short window beside each long one: what has stopped burning is no alarm any more.
WINDOWS_S: Final = {"5m": 300, "30m": 1800, "1h": _HOUR_S, "6h": 6 * _HOUR_S, "1d": 24 * _HOUR_S, "3d": 72 * _HOUR_S}
# At 14.4 two percent of a month's budget go in one hour, at 6 five percent in six.
FAST: Final = 14.4
SLOW: Final = 6.0


class Budget(msgspec.Struct, frozen=True):
    """What is left of one objective.

    `measured` and `bad` are minutes of the window; minutes without a verdict count as neither. `left_percent` is of the
    budget, and negative once it is overspent. `burn` is how many times faster than allowed the budget goes, by window
    (1: all of it is used in a month); None where nothing was measured. `alarm` is "", "spent", "fast" or "slow".
    """

    name: str
    promise: str
    target_percent: float
    budget_minutes: int
    measured: int
    bad: int
    left_percent: float
    burn: dict[str, float | None]
    alarm: str

    @property
    def good_percent(self) -> float | None:
        """The share of the measured minutes that were good."""
        return 100 * (1 - self.bad / self.measured) if self.measured else None


def budget_of(objective: Objective, samples: Sequence[Sample], now_s: float) -> Budget:
    """The budget of `objective` over the minutes of the last 30 days, which `samples` should not exceed."""
    told = ((sample.at_s, getattr(sample, objective.name)) for sample in samples)
    verdicts = [(at_s, verdict) for at_s, verdict in told if verdict is not None]
    bad = sum(not verdict for _, verdict in verdicts)
    left_percent = 100 * (1 - bad / objective.budget_minutes)
    burn = {name: _burn(objective, verdicts, now_s, length_s) for name, length_s in WINDOWS_S.items()}
    return Budget(
        objective.title,
        objective.promise,
        objective.target_percent,
        objective.budget_minutes,
        len(verdicts),
        bad,
        left_percent,
        burn,
        _alarm(left_percent, burn),
    )


def _burn(objective: Objective, verdicts: Sequence[tuple[int, bool]], now_s: float, length_s: int) -> float | None:
    within = [verdict for at_s, verdict in verdicts if at_s > now_s - length_s - MINUTE_S]
    if not within:
        return None
    # Of the whole window: the one bad minute of a system that has just started is no fast burn.
    minutes = max(length_s // MINUTE_S, len(within))
    return (within.count(False) / minutes) / (objective.budget_minutes / MONTH_MINUTES)


def _alarm(left_percent: float, burn: dict[str, float | None]) -> str:
    if left_percent <= 0:
        return "spent"
    if _both(burn, "1h", "5m", FAST):
        return "fast"
    return "slow" if _both(burn, "6h", "30m", SLOW) else ""


def _both(burn: dict[str, float | None], long: str, short: str, limit: float) -> bool:
    return all((rate := burn[name]) is not None and rate >= limit for name in (long, short))


def missing_minutes(samples: Sequence[Sample], now_s: float) -> int:
    """Minutes since the first sample of which there is none: nobody measured, or Redis lost them."""
    if not samples:
        return 0
    return max(int(now_s // MINUTE_S) - samples[0].at_s // MINUTE_S - len(samples), 0)


def days(objective: Objective, samples: Sequence[Sample]) -> dict[int, int]:
    """Day (since 1970, UTC) → its bad minutes, of each day with a verdict: the trend."""
    found: dict[int, int] = {}
    for sample in samples:
        if (verdict := getattr(sample, objective.name)) is not None:
            day = sample.at_s // 86_400
            found[day] = found.get(day, 0) + (not verdict)
    return found
