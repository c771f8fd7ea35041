"""The verdict in one sentence, with the way out."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from instrument_cache.feed_state import FeedState
from instrument_cache.freshness.model import PartitionFreshness, Verdict

RUNBOOK: Final = "docs/runbook/freshness.md"


def sentence(verdict: Verdict, partitions: Sequence[PartitionFreshness], feed: FeedState | None, at_us: int) -> str:
    """What is the matter in the partitions of that verdict."""
    found = [partition for partition in partitions if partition.verdict is verdict]
    where = _names(found)
    match verdict:
        case Verdict.OK:
            return f"Fresh: {_oldest(found)}."
        case Verdict.SILENT:
            return f"Everything in the log is applied, but {_oldest(found)} in {where}: {_feed_says(feed, at_us)}."
        case Verdict.LATE:
            return f"{_behind(found)} wait in {where}, and {_oldest(found)}: the job catches up, or has just stopped."
        case Verdict.STALLED:
            return _stalled(found, where, at_us)
    return f"Nothing can be said of {where}: Kafka does not tell what waits, and {_oldest(found)}."


def _stalled(found: Sequence[PartitionFreshness], where: str, at_us: int) -> str:
    standing_s = max(partition.standing_s for partition in found)
    since_s = max(max(partition.canary_age_s or 0.0, partition.standing_s) for partition in found)
    return (
        f"Nothing has been applied in {where} since {_clock_time(at_us - round(since_s * 1e6))} "
        f"(seen to stand still for {standing_s:.0f} s), although {_behind(found)} wait in Kafka: see {RUNBOOK}."
    )


def _names(found: Sequence[PartitionFreshness]) -> str:
    numbers = ", ".join(str(partition.partition) for partition in found)
    return f"partition{'s' if len(found) != 1 else ''} {numbers or '(none is known)'}"


def _behind(found: Sequence[PartitionFreshness]) -> str:
    count = sum(partition.behind or 0 for partition in found)
    return f"{count} record{'s' if count != 1 else ''}"


def _oldest(found: Sequence[PartitionFreshness]) -> str:
    ages_s = [partition.canary_age_s for partition in found if partition.canary_age_s is not None]
    return f"the oldest canary is {max(ages_s):.1f} s old" if ages_s else "no canary was ever seen"


def _feed_says(feed: FeedState | None, at_us: int) -> str:
    if feed is None:
        return "the feed tells nothing about itself"
    told_s, heard_s = (at_us - feed.updated_at) / 1e6, (at_us - feed.heard_at) / 1e6
    if told_s > 5:
        return f"the feed has told nothing about itself for {told_s:.0f} s; is it running?"
    return f"the feed is {feed.phase} and last heard of its source {heard_s:.0f} s ago"


def _clock_time(at_us: int) -> str:
    return datetime.fromtimestamp(at_us / 1e6, UTC).strftime("%H:%M:%S UTC")
