"""How long changes were under way, as histograms that the store keeps."""

from __future__ import annotations

from itertools import accumulate
from typing import Final

import msgspec

EDGES_MS: Final = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 30000, 60000, 300000)
# From the moment that the source names, and from the moment at which the feed had the change, until it was applied.
STAGES: Final = ("source", "feed")


class LagHistogram(msgspec.Struct, frozen=True):
    """`counts[i]` changes took at most EDGES_MS[i] ms and more than the edge before; the last count has no edge."""

    counts: tuple[int, ...] = (0,) * (len(EDGES_MS) + 1)
    sum_ms: int = 0

    @property
    def total(self) -> int:
        """Changes measured."""
        return sum(self.counts)

    def quantile_ms(self, q: float) -> float | None:
        """The upper edge of the bucket in which the share `q` (0…1) is reached: at most so long. None if empty."""
        edges = (*EDGES_MS, float("inf"))
        reached = zip(edges, accumulate(self.counts), strict=True)
        return next((edge for edge, count in reached if count and count >= q * self.total), None)


def field(stage: str, bucket: int) -> str:
    """The name of one bucket's counter in the store: `source:20`, `feed:inf`."""
    return f"{stage}:{EDGES_MS[bucket] if bucket < len(EDGES_MS) else 'inf'}"


def histograms(fields: dict[str, int]) -> dict[str, LagHistogram]:
    """The store's counters → {stage: histogram}."""
    return {
        stage: LagHistogram(
            tuple(fields.get(field(stage, bucket), 0) for bucket in range(len(EDGES_MS) + 1)),
            fields.get(f"{stage}:sum_ms", 0),
        )
        for stage in STAGES
    }
