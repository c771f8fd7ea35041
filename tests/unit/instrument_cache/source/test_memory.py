"""What is the in-memory source's alone; the rest is in the contract suite of sources."""

from __future__ import annotations

from instrument_cache.clock import FakeClock
from instrument_cache.source.interface import Heartbeat, Put, SnapshotBegin, SnapshotEnd
from instrument_cache.source.memory import MemorySource


def test_timestamps_grow_although_the_clock_goes_back() -> None:
    clock = FakeClock(1_763_674_000_000_000)
    source = MemorySource(clock=clock)
    source.publish([b'{"cusip":"a"}'])
    clock.advance(-3600)
    source.publish([b'{"cusip":"a","n":2}', b'{"cusip":"b"}'])
    clock.advance(7200)
    source.publish([b'{"cusip":"c"}'])
    puts = [event for event in source.snapshot() if isinstance(event, Put)]
    assert [(put.key, put.timestamp_us - 1_763_674_000_000_000) for put in puts] == [
        ("a", 1),
        ("b", 2),
        ("c", 3_600_000_000),
    ]


def test_heartbeats_come_in_the_chosen_interval() -> None:
    events = MemorySource(heartbeat_s=0.01).subscribe()
    assert [next(events) for _ in range(4)] == [
        SnapshotBegin("instruments", 0, 0),
        SnapshotEnd(0),
        Heartbeat(),
        Heartbeat(),
    ]
