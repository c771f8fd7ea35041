"""What is asked of Redis, Kafka and the feed at one look."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import redis
from redis.exceptions import RedisError

from instrument_cache.account_check import check_account
from instrument_cache.asking.parts import Part, SlowPart
from instrument_cache.clock import Clock
from instrument_cache.errors import StoreUnavailable, Unavailable
from instrument_cache.feed_state import FeedState, read_feed_state
from instrument_cache.freshness import LogSpan, StalledJob, StoreFigures, read_figures, stalled_job
from instrument_cache.reject_gate import RejectAlarm, current_alarm
from instrument_cache.reports import Summary, newest_of_all
from instrument_cache.store.interface import VersionedStore

FEED_TOLD_S_MAX: Final = 10.0
LogSpans = Callable[[], Mapping[int, LogSpan]]


@dataclass(frozen=True, slots=True)
class RedisFigures:
    """All that Redis tells; `keys` counts every key of its database, `operations` has the newest report of each."""

    store: StoreFigures
    alarm: RejectAlarm | None
    stalled: StalledJob | None
    keys: int
    operations: Mapping[str, Summary]


def redis_part(client: redis.Redis, store: VersionedStore, dataset: str) -> Part:
    def ask() -> RedisFigures:
        figures = read_figures(store, dataset)
        alarm, stalled = current_alarm(client, dataset), stalled_job(client, dataset)
        return RedisFigures(figures, alarm, stalled, _keys(client), newest_of_all(client, dataset))

    return Part("redis", ask)


def _keys(client: Any) -> int:
    try:
        return int(client.dbsize())
    except RedisError as error:
        raise StoreUnavailable(f"Redis does not tell how many keys it has: {error}") from error


def account_check(store: VersionedStore, bootstrap: str, dataset: str, every_s: float) -> SlowPart:
    """Compares the account with the log. Where the account has holes, that reads the log from the first one on."""
    return SlowPart(Part("account-check", lambda: check_account(store, bootstrap, dataset).wrong), every_s)


def kafka_part(log_spans: LogSpans) -> Part:
    return Part("kafka", log_spans)


def feed_part(path: Path, clock: Clock) -> Part:
    def ask() -> FeedState:
        state = read_feed_state(path)
        if state is None:
            raise FeedAway(f"{path} does not hold what the feed tells; is the feed running?")
        told_s = (clock.now_us() - state.updated_at) / 1e6
        if told_s > FEED_TOLD_S_MAX:
            raise FeedAway(f"the feed has told nothing for {told_s:.0f} s; is it running?")
        return state

    return Part("feed", ask)


class FeedAway(Unavailable):
    """The feed does not tell its state."""
