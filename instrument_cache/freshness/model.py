"""What is known of a dataset's freshness at one moment, and the verdict on it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import msgspec

from instrument_cache.feed_state import FeedState
from instrument_cache.settings import Environment, environment


class Verdict(StrEnum):
    """From good to bad, but for UNKNOWN, which says that Redis or Kafka does not.

    SILENT: everything in the log is applied, but no canaries come: the feed is away from its source, is down, or was
    told to write none. LATE: the job is behind, and catches up or may have just stopped. STALLED: records wait, and the
    job has applied none of them for too long.
    """

    OK = "ok"
    SILENT = "silent"
    LATE = "late"
    UNKNOWN = "unknown"
    STALLED = "stalled"


SEVERITY: Final = tuple(Verdict)
# For how long offsets must be seen to stand still before an old canary counts as proof of it.
CONFIRM_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class Limits:
    """Ages in seconds from which a partition counts as late, and as stalled."""

    late_s: int = 5
    stalled_s: int = 30


def freshness_limits(env: Environment | None = None) -> Limits:
    """ICACHE_FRESHNESS_LATE_S and ICACHE_FRESHNESS_STALLED_S. Raises SettingsError."""
    env = env or environment()
    return Limits(
        late_s=env.integer("ICACHE_FRESHNESS_LATE_S", default=5, low=2, high=3600),
        stalled_s=env.integer("ICACHE_FRESHNESS_STALLED_S", default=30, low=5, high=3600),
    )


class PartitionFreshness(msgspec.Struct, frozen=True, kw_only=True):
    """One Kafka partition.

    `next` is the offset that the job applies next, `end` the one after the last in the log, `behind` what lies between
    (None: Kafka does not say). `canary_age_s` is how long ago the feed wrote the newest canary that is applied (None:
    there is none). `standing_s` is for how long nothing was seen to be applied, or replayed, although records wait.
    """

    partition: int
    next: int
    end: int | None = None
    behind: int | None = None
    canary_age_s: float | None = None
    standing_s: float = 0.0
    verdict: Verdict = Verdict.UNKNOWN


class LagSummary(msgspec.Struct, frozen=True):
    """How long records took until they were readable.

    A quantile is the upper edge of its bucket: inf (in JSON null) beyond the last one, None without records.
    """

    records: int
    p50_ms: float | None
    p99_ms: float | None


class Freshness(msgspec.Struct, frozen=True, kw_only=True):
    """A whole dataset at `at_us`. Stages of `lags`: `source` (since it happened) and `feed` (since the feed got it)."""

    dataset: str
    at_us: int
    verdict: Verdict
    message: str
    canary_age_s_max: float | None
    partitions: tuple[PartitionFreshness, ...]
    lags: dict[str, LagSummary]
    feed: FeedState | None = None

    @property
    def stalled(self) -> tuple[PartitionFreshness, ...]:
        """The partitions in which the job stands still."""
        return tuple(found for found in self.partitions if found.verdict is Verdict.STALLED)


def judge(found: PartitionFreshness, limits: Limits) -> Verdict:
    """The verdict on one partition.

    An age rests on two machines' clocks, so it never makes a job stalled by itself: offsets that stand still do. Where
    an age says the same, a shorter look at the offsets is enough.
    """
    age_s, waits = found.canary_age_s, bool(found.behind)
    is_old = age_s is not None and age_s > limits.stalled_s
    if waits and found.standing_s >= (min(CONFIRM_S, limits.stalled_s) if is_old else limits.stalled_s):
        return Verdict.STALLED
    if age_s is not None and age_s <= limits.late_s and found.standing_s <= limits.late_s:
        return Verdict.OK
    if found.behind is None:
        return Verdict.UNKNOWN
    return Verdict.LATE if waits else Verdict.SILENT


def worst(verdicts: list[Verdict]) -> Verdict:
    """The worst of them; UNKNOWN of none."""
    return max(verdicts, key=SEVERITY.index, default=Verdict.UNKNOWN)
