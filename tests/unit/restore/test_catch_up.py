"""Where the log is read from, and that what is read beside the stream leaves its account alone."""

from __future__ import annotations

from instrument_cache.batch import BatchApplier
from instrument_cache.clock import FakeClock
from instrument_cache.kafka import Span
from instrument_cache.restore.catch_up import Starts, UnaccountedStore, starts_of
from instrument_cache.restore.counts import Counts
from instrument_cache.store.interface import Position
from instrument_cache.store.memory import MemoryStore
from tests.unit.restore.backups import CONTRACT, cusip

CLOCK = FakeClock()


def test_the_log_is_read_on_from_where_the_backup_was() -> None:
    spans = {0: Span(0, 100), 1: Span(50, 100), 2: Span(0, 0)}
    assert starts_of({0: 40, 1: 100, 2: 0}, spans) == Starts({0: 40, 1: 100, 2: 0})


def test_a_partition_that_does_not_reach_back_or_is_another_is_read_whole() -> None:
    spans = {0: Span(60, 100), 1: Span(0, 30), 2: Span(0, 10)}
    assert starts_of({0: 40, 1: 31}, spans) == Starts({0: 60, 1: 0, 2: 0}, lost=(0, 1))


def test_the_account_of_the_stream_stays_as_it_is() -> None:
    store, counts = MemoryStore(CLOCK), Counts()
    applier = BatchApplier(CONTRACT, UnaccountedStore(store, counts))  # type: ignore[arg-type]
    version = CLOCK.now_us() - 1
    put = b'{"op":"put","version":%d,"record":{"cusip":"%b"}}' % (version, cusip(1).encode())
    assert applier.apply([put, b"{broken"], [0, 0], [0, 1]).keys() == {1}
    assert applier.apply([put], [0], [2]) == {}
    assert (counts.applied, counts.duplicate) == (1, 1)
    assert store.positions([0]) == {0: Position()}
    assert store.accounts() == {}
