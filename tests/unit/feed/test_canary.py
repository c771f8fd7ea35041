"""Canaries: one to each partition and second while the feed follows its source, and none when it does not."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from feed.change_log.memory import MemoryChangeLog
from feed.main import Feed
from instrument_cache.canary import canary_key, is_canary, position_of, stored_key, written_at_us
from instrument_cache.clock import FakeClock
from instrument_cache.contract import Contract
from instrument_cache.errors import SourceUnavailable
from instrument_cache.source.interface import Heartbeat, Put, SnapshotBegin, SnapshotEnd, SourceEvent
from instrument_cache.source.memory import MemorySource

PARTITIONS = 3
ROW = b'{"cusip":"037833100"}'


def make(contract: Contract, log: MemoryChangeLog, clock: FakeClock, interval_s: int = 1) -> Feed:
    return Feed(contract, MemorySource(), log, 1.0, canary_interval_s=interval_s, clock=clock)


def canaries(log: MemoryChangeLog) -> list[tuple[int, bytes]]:
    """(partition, key) of each canary in the log."""
    records = zip(log.placed, log.records, strict=True)
    return [(partition, key) for partition, (key, _) in records if is_canary(key)]


def live(feed: Feed) -> None:
    feed.handle(SnapshotBegin())
    feed.handle(SnapshotEnd())


def test_each_heartbeat_of_a_silent_source_brings_one_to_each_partition(contract: Contract) -> None:
    log, clock = MemoryChangeLog(PARTITIONS), FakeClock()
    feed = make(contract, log, clock)
    live(feed)
    for _ in range(3):
        clock.advance(1.0)
        feed.handle(Heartbeat())
    one_round = [(partition, b"~canary-%d" % partition) for partition in range(PARTITIONS)]
    assert canaries(log) == one_round * 4
    assert feed.state.canary_at == feed.state.heard_at == clock.now_us()


def test_traffic_brings_them_no_more_often_than_the_interval(contract: Contract) -> None:
    log, clock = MemoryChangeLog(PARTITIONS), FakeClock()
    feed = make(contract, log, clock)
    live(feed)
    for number in range(1000):
        clock.advance(0.01)
        feed.handle(Put("037833100", ROW, clock.now_us(), number))
    rounds = len(canaries(log)) / PARTITIONS
    assert 10 <= rounds <= 12


def test_a_snapshot_brings_them_too(contract: Contract) -> None:
    log, clock = MemoryChangeLog(PARTITIONS), FakeClock()
    feed = make(contract, log, clock)
    feed.handle(SnapshotBegin())
    clock.advance(5)
    feed.handle(Put("037833100", ROW, clock.now_us(), 1))
    assert len(canaries(log)) == 2 * PARTITIONS
    assert feed.state.phase == "snapshot"


def test_the_record_is_the_feeds_own_with_the_time_as_its_version(contract: Contract) -> None:
    log, clock = MemoryChangeLog(), FakeClock()
    feed = make(contract, log, clock)
    feed.handle(SnapshotBegin(position=17))
    feed.handle(Put("037833100", ROW, clock.now_us(), 19))
    feed.handle(SnapshotEnd(rows=1))
    log.records.clear()
    clock.advance(1)
    feed.handle(Heartbeat())
    now_us = clock.now_us()
    origin = {"name": "sow", "position": 17, "timestamp": now_us, "received_at": now_us}
    (value,) = [json.loads(value) for key, value in log.records if is_canary(key)]
    assert value == {"op": "canary", "version": now_us, "source": origin, "record": {}}


def test_a_canary_tells_no_position_before_all_up_to_it_is_in_the_log(contract: Contract) -> None:
    log, clock = MemoryChangeLog(), FakeClock()
    feed = make(contract, log, clock)

    def told(*events: SourceEvent) -> int | None:
        for event in events:
            clock.advance(1)
            feed.handle(event)
        return position_of(log.records[-1][1])

    assert told(SnapshotBegin(position=17)) == 0
    assert told(Put("037833100", ROW, 1, 21)) == 0
    assert told(SnapshotEnd(rows=1)) == 17
    assert told(Put("037833100", ROW, 1, 18), Heartbeat()) == 18
    assert told(SnapshotBegin(position=30), Put("037833100", ROW, 1, 30)) == 18
    assert told(SnapshotEnd(rows=1)) == 30
    assert told(SnapshotBegin(position=2)) == 2, "a source that counts anew"
    assert position_of(b"{}") is position_of(None) is None


def test_a_clock_that_was_set_back_does_not_silence_them(contract: Contract) -> None:
    log, clock = MemoryChangeLog(), FakeClock()
    feed = make(contract, log, clock)
    live(feed)
    clock.advance(-300)
    feed.handle(Heartbeat())
    assert len(canaries(log)) == 2


def test_an_interval_of_zero_turns_them_off(contract: Contract) -> None:
    log, clock = MemoryChangeLog(PARTITIONS), FakeClock()
    feed = make(contract, log, clock, interval_s=0)
    live(feed)
    clock.advance(60)
    feed.handle(Heartbeat())
    assert canaries(log) == []
    assert feed.state.heard_at == clock.now_us()
    assert feed.state.canary_at == 0


class LostSource(MemorySource):
    """Says what it is told to say and then breaks off."""

    def subscribe(self) -> Iterator[SourceEvent]:
        yield from (SnapshotBegin(), SnapshotEnd(), Heartbeat())
        raise SourceUnavailable("gone")


def test_a_lost_source_brings_none_and_the_feed_says_since_when(contract: Contract) -> None:
    log, clock = MemoryChangeLog(PARTITIONS), FakeClock()
    feed = Feed(contract, LostSource(), log, 1.0, canary_interval_s=1, clock=clock)
    with pytest.raises(SourceUnavailable):
        feed.follow()
    heard_at = clock.now_us()
    clock.advance(60)
    assert len(canaries(log)) == PARTITIONS
    assert feed.state.heard_at == heard_at


def test_the_newest_change_of_the_source_is_told_apart_from_its_heartbeat(contract: Contract) -> None:
    clock = FakeClock()
    feed = make(contract, MemoryChangeLog(), clock)
    live(feed)
    feed.handle(Put("037833100", ROW, clock.now_us(), 1))
    changed_at = clock.now_us()
    clock.advance(30)
    feed.handle(Heartbeat())
    assert feed.state.source_timestamp == changed_at
    assert feed.state.heard_at == clock.now_us()


@pytest.mark.parametrize("stored", [None, b"", b"{", b"[]", b'{"v":"x","p":0}', b'{"p":0}'])
def test_what_is_no_canary_in_the_store_has_no_time(stored: bytes | None) -> None:
    assert written_at_us(stored) is None


def test_keys() -> None:
    assert canary_key(7) == b"~canary-7"
    assert stored_key("issuers", 7) == "canary:issuers:7"
    assert written_at_us(b'{"v":1763674000000000,"p":7}') == 1_763_674_000_000_000
