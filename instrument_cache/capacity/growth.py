"""A straight line through what was measured, and when it reaches a limit. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Final

import msgspec

DAY_S: Final = 86_400
# Less than this is a guess: a line through one busy afternoon says nothing about next month.
POINTS_MIN: Final = 24
SPAN_DAYS_MIN: Final = 3.0


class Growth(msgspec.Struct, frozen=True):
    """The least-squares line of one figure.

    `per_day` is its slope, `now` its value at the last point, `fit` the share of the movement that it explains (r², 0
    to 1; 1 for a figure that does not move).
    """

    per_day: float
    now: float
    fit: float


def growth(points: Sequence[tuple[float, float]]) -> Growth | None:
    """`points` are (seconds since 1970, value), the oldest first; None of too few or too short a time."""
    if why_no_forecast(points):
        return None
    days = [(at_s - points[0][0]) / DAY_S for at_s, _ in points]
    values = [value for _, value in points]
    slope, intercept = statistics.linear_regression(days, values)
    return Growth(slope, intercept + slope * days[-1], _explained(days, values, slope, intercept))


def why_no_forecast(points: Sequence[tuple[float, float]]) -> str:
    """What is missing for a line; empty if nothing is."""
    span_days = (points[-1][0] - points[0][0]) / DAY_S if points else 0.0
    if len(points) >= POINTS_MIN and span_days >= SPAN_DAYS_MIN:
        return ""
    return (
        f"{len(points)} hours over {span_days:.1f} days were measured; a forecast needs {POINTS_MIN} over "
        f"{SPAN_DAYS_MIN:g} days"
    )


def days_until(found: Growth, limit: float) -> float | None:
    """Days from the last point until the line reaches the limit; 0 if it has, None if it never will."""
    if found.now >= limit:
        return 0.0
    return (limit - found.now) / found.per_day if found.per_day > 0 else None


def _explained(days: Sequence[float], values: Sequence[float], slope: float, intercept: float) -> float:
    mean = statistics.fmean(values)
    total = sum((value - mean) ** 2 for value in values)
    if not total:
        return 1.0
    left = sum((value - intercept - slope * day) ** 2 for day, value in zip(days, values, strict=True))
    return max(1 - left / total, 0.0)
