"""The feed and its source: is it alive, connected, and did it refuse anything?"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from instrument_cache.clock import Clock
from instrument_cache.doctor.model import Finding
from instrument_cache.doctor.text import duration
from instrument_cache.errors import SourceUnavailable
from instrument_cache.feed_state import FeedState, read_feed_state
from instrument_cache.settings import Environment
from instrument_cache.source.registry import open_source

_TOLD_S_MAX: Final = 10.0
_HEARD_S_MAX: Final = 15.0
_RESTART_S: Final = 300.0
_MEND: Final = "icache restart feed; icache logs feed"


def look_at_feed(path: Path, clock: Clock) -> Iterator[Finding]:
    """What the file of ICACHE_FEED_STATE_FILE tells."""
    state = read_feed_state(path)
    if state is None:
        yield _red(f"the feed tells nothing about itself in {path}", "it does not run, or has just been started")
        return
    told_s = (clock.now_us() - state.updated_at) / 1e6
    if told_s > _TOLD_S_MAX:
        yield _red(f"the feed has told nothing for {duration(told_s)}", "its process has ended, or hangs")
        return
    found = [*_phase(state, clock.now_us()), *_refused(state), *_restarted(state, clock.now_us())]
    yield from found
    if not found:
        yield Finding("feed", "ok", f"the feed is {state.phase}: {state.sent} changes sent")


def _red(sentence: str, why: str) -> Finding:
    return Finding("feed", "red", sentence, f"{why}: no change of the source reaches the cache", _MEND, "freshness")


def _phase(state: FeedState, now_us: int) -> Iterator[Finding]:
    heard_s = (now_us - state.heard_at) / 1e6
    if state.phase == "disconnected":
        why = "the source is away or refuses the feed: no change of it reaches the cache"
        yield Finding("feed", "red", "the feed is disconnected from its source", why, "mend the source", "freshness")
    elif state.phase in ("starting", "snapshot"):
        why = "it was started a moment ago, and reads the log and the source from the beginning"
        yield Finding("feed", "warn", f"the feed is not live yet: {state.phase}", why, "wait; icache logs feed")
    elif heard_s > _HEARD_S_MAX:
        yield _red(f"the feed has heard nothing of its source for {duration(heard_s)}", "the source hangs, or Kafka")


def _refused(state: FeedState) -> Iterator[Finding]:
    if state.sweep_refused:
        yield Finding(
            "feed",
            "red",
            f"the feed refused to delete {state.sweep_refused} instruments that the source's snapshot lacked",
            "an entitlement error looks like an empty source; or so many are really gone",
            "look at the source; if it is right: raise ICACHE_FEED_SWEEP_PERCENT_MAX, then icache restart feed",
            "freshness",
        )


def _restarted(state: FeedState, now_us: int) -> Iterator[Finding]:
    """One that found its rows in the log already was started again, not for the first time."""
    since_s = (now_us - state.started_at) / 1e6
    if state.started_at and since_s < _RESTART_S and state.unchanged:
        yield Finding(
            "feed",
            "warn",
            f"the feed was started again {duration(since_s)} ago, and is {state.phase}",
            "its process ended: killed, out of memory, or restarted by somebody",
            "nothing if it happened once; else icache logs feed",
            "freshness",
        )


def look_at_source(env: Environment) -> Iterator[Finding]:
    """Whether the source tells how many rows it holds."""
    source = open_source(env=env)
    try:
        yield Finding("source", "ok", f"the source holds {source.count()} rows")
    except SourceUnavailable as error:
        why = "the source is away: no change of it reaches the cache, and nothing can be reconciled"
        yield Finding("source", "red", str(error), why, "ask its owner; on a laptop: icache restart simulator")
    finally:
        source.close()
