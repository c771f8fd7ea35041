"""Exact percentiles: of every value, not of buckets."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Final

SHARES: Final = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p99.9": 0.999, "max": 1.0}


def percentiles(values: Iterable[float]) -> dict[str, float]:
    """p50, p90, p99, p99.9 and max by nearest rank: each is a value that occurred. Empty for no values."""
    ordered = sorted(values)
    return {name: nearest_rank(ordered, share) for name, share in SHARES.items()} if ordered else {}


def nearest_rank(ordered: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` (above 0, up to 1) of all values do not exceed."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]
