"""How fresh the cache is, partition by partition, and whether the job that should keep it so has come to a stop."""

from __future__ import annotations

from instrument_cache.freshness.model import (
    Freshness,
    LagSummary,
    Limits,
    PartitionFreshness,
    Verdict,
    freshness_limits,
)
from instrument_cache.freshness.probe import FreshnessProbe, LogSpan, StoreFigures, read_figures
from instrument_cache.freshness.stalled_job import StalledJob, is_stalled, mark_stalled, stalled_job

__all__ = [
    "Freshness",
    "FreshnessProbe",
    "LagSummary",
    "Limits",
    "LogSpan",
    "PartitionFreshness",
    "StalledJob",
    "StoreFigures",
    "Verdict",
    "freshness_limits",
    "is_stalled",
    "mark_stalled",
    "read_figures",
    "stalled_job",
]
