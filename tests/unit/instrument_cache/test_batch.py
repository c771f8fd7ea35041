"""One batch: the newest per key, outcomes that add up, reasons by position, and a store that comes back."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instrument_cache.account import OffsetsInLog, PartitionAccount, discrepancies
from instrument_cache.batch import BatchApplier
from instrument_cache.clock import FakeClock
from instrument_cache.contract import Contract
from instrument_cache.errors import StoreUnavailable
from instrument_cache.store.memory import MemoryExchange, MemoryStore

V = 1_763_674_000_123_456
APPLE, MICROSOFT = "037833100", "594918104"
TOTAL = ("applied", "duplicate", "stale", "superseded", "rejected")


class Log:
    """Hands a partition's values to an applier with offsets that go on."""

    def __init__(self, contract: Contract, store: MemoryStore, partition: int = 0) -> None:
        self._applier = BatchApplier(contract, store, clock=FakeClock(V))
        self._partition, self._next = partition, 0

    def apply(self, values: list[bytes | None]) -> dict[int, str]:
        offsets = range(self._next, self._next + len(values))
        self._next += len(values)
        return self._applier.apply(values, [self._partition] * len(values), offsets)


def counted(store: MemoryStore) -> dict[str, int]:
    return {name: count for name, count in store.counters().items() if count}


def put(cusip: str, version: int = V, **fields: object) -> bytes:
    return json.dumps({"op": "put", "version": version, "record": {"cusip": cusip, **fields}}).encode()


def delete(cusip: str, version: int) -> bytes:
    record = {"op": "delete", "version": version, "source": {"timestamp": version}, "record": {"cusip": cusip}}
    return json.dumps(record).encode()


def test_only_the_newest_of_a_batch_reaches_the_store(contract: Contract) -> None:
    store = MemoryStore(FakeClock(V))
    batch = [put(APPLE, V + 1, name="new"), put(APPLE, V, name="old"), put(MICROSOFT), put(MICROSOFT)]
    assert Log(contract, store).apply(batch) == {}
    assert json.loads(store.get_many([f"instr:{APPLE}"])[0] or b"")["name"] == "new"
    assert counted(store) == {"applied": 2, "superseded": 1, "duplicate": 1}


def test_rejects_are_told_by_position_and_touch_nothing(contract: Contract) -> None:
    store = MemoryStore(FakeClock(V))
    reasons = Log(contract, store).apply([b"{", put(APPLE), put("037833101"), None])
    assert {at: reason.partition(":")[0] for at, reason in reasons.items()} == {
        0: "malformed_json",
        2: "invalid_cusip",
    }
    assert dict(store.scan("instr")).keys() == {f"instr:{APPLE}"}
    assert counted(store) == {"applied": 1, "rejected": 2, "duplicate": 1}


def test_a_put_and_its_delete_in_one_batch_leave_the_delete(contract: Contract) -> None:
    store = MemoryStore(FakeClock(V))
    Log(contract, store).apply([delete(APPLE, V), put(APPLE, V, pme="P-1")])
    assert b"~deleted_at" in (store.get_many([f"instr:{APPLE}"])[0] or b"")


def test_aliases_follow_the_same_order(contract: Contract) -> None:
    store = MemoryStore(FakeClock(V))
    Log(contract, store).apply([put(APPLE, V + 1, pme="P-1"), put(MICROSOFT, V, pme="P-1")])
    assert store.get_many(["pme:P-1"]) == [b'{"v":%d,"cusip":"%b"}' % (V + 1, APPLE.encode())]


class Flaky(MemoryStore):
    """Away for the next `failures` exchanges."""

    failures = 0

    def exchange(self) -> MemoryExchange:
        self.failures -= 1
        if self.failures >= 0:
            raise StoreUnavailable("away")
        return super().exchange()


def test_waits_for_a_store_that_is_away_and_gives_up_in_time(contract: Contract) -> None:
    store = Flaky()
    store.failures = 2
    BatchApplier(contract, store, retry_s=5).apply([put(APPLE)], [0], [0])
    assert counted(store) == {"applied": 1}
    store.failures = 1000
    with pytest.raises(StoreUnavailable):
        BatchApplier(contract, store, retry_s=0.1).apply([put(APPLE)], [0], [1])


def test_a_replay_counts_once_and_a_worker_that_is_out_of_date_learns_where_it_stands(contract: Contract) -> None:
    store = MemoryStore(FakeClock(V))
    old, new = (BatchApplier(contract, store, clock=FakeClock(V)) for _ in range(2))
    values = [put(APPLE, V + at) for at in range(6)]
    old.apply(values[:3], [0] * 3, range(3))
    new.apply(values[:5], [0] * 5, range(5))
    old.apply(values[3:], [0] * 3, range(3, 6))
    account = store.accounts()[0]
    assert (account.start, account.next, account.total, account.replayed) == (0, 6, 6, 5)
    assert account.holes == ()


def test_a_record_that_was_passed_over_is_a_hole_until_it_comes(contract: Contract) -> None:
    store = MemoryStore(FakeClock(V))
    applier = BatchApplier(contract, store, clock=FakeClock(V))
    applier.apply([put(APPLE)] * 3, [0, 0, 1], [5, 9, 7])
    assert store.accounts()[0] == PartitionAccount(0, 5, 10, applied=1, duplicate=1, skipped=3, holes=((6, 9),))
    applier.apply([put(APPLE)] * 2, [0, 0], [7, 10])
    assert store.accounts()[0].holes == ((6, 7), (8, 9))
    assert discrepancies(store.accounts(), {0: OffsetsInLog(5, 11, frozenset({5, 7, 9, 10}))}) == []
    gaps = discrepancies(store.accounts(), {0: OffsetsInLog(5, 11, frozenset(range(11)))})
    assert [(gap.kind, gap.first, gap.end) for gap in gaps] == [("gap", 6, 7), ("gap", 8, 9)]


def test_a_job_that_begins_before_the_account_widens_it(contract: Contract) -> None:
    store = MemoryStore(FakeClock(V))
    BatchApplier(contract, store, clock=FakeClock(V)).apply([put(APPLE)] * 2, [0, 0], [4, 5])
    log = {0: OffsetsInLog(0, 6, frozenset(range(6)))}
    assert [(gap.first, gap.end) for gap in discrepancies(store.accounts(), log)] == [(0, 4)]
    BatchApplier(contract, store, clock=FakeClock(V)).apply([put(APPLE)] * 4, [0] * 4, [1, 2, 3, 4])
    account = store.accounts()[0]
    assert (account.start, account.next, account.total, account.replayed, account.skipped) == (1, 6, 5, 1, 0)
    assert [(gap.first, gap.end) for gap in discrepancies(store.accounts(), log)] == [(0, 1)]


def test_a_canary_is_kept_for_its_partition_and_moves_no_histogram(contract: Contract) -> None:
    store = MemoryStore(FakeClock(V))
    canary = {"op": "canary", "version": V, "source": {"timestamp": V, "received_at": V}, "record": {}}
    Log(contract, store, partition=3).apply([json.dumps(canary).encode()])
    assert store.get_many(["canary:instruments:3"]) == [b'{"v":%d,"p":3}' % V]
    assert counted(store) == {"applied": 1}
    assert store.lags()["feed"].total == 0


def test_the_lag_of_each_change_is_measured_once(contract: Contract) -> None:
    store = MemoryStore(FakeClock(V))
    source = {"timestamp": V - 40_000, "received_at": V - 3_000}
    value = json.dumps({"op": "put", "version": V, "source": source, "record": {"cusip": APPLE}}).encode()
    for _ in range(2):
        BatchApplier(contract, store, clock=FakeClock(V)).apply([value, put(MICROSOFT)], [0, 0], [0, 1])
    lags = store.lags()
    assert (lags["source"].total, lags["source"].sum_ms, lags["source"].quantile_ms(0.5)) == (1, 40, 50)
    assert (lags["feed"].total, lags["feed"].quantile_ms(0.99)) == (1, 5)


messages = st.one_of(
    st.builds(put, st.sampled_from([APPLE, MICROSOFT, "bad"]), st.integers(V, V + 3), pme=st.sampled_from(["A", "B"])),
    st.builds(delete, st.sampled_from([APPLE, MICROSOFT]), st.integers(V, V + 3)),
    st.none(),
)


@given(batches=st.lists(st.lists(messages, max_size=8), max_size=5), cut=st.integers(1, 7))
def test_outcomes_add_up_and_how_the_stream_is_cut_does_not_matter(
    contract: Contract, batches: list[list[bytes | None]], cut: int
) -> None:
    store, other = MemoryStore(FakeClock(V)), MemoryStore(FakeClock(V))
    log, reverse = Log(contract, store), Log(contract, other)
    for batch in batches:
        log.apply(batch)
    counters = store.counters()
    everything = [value for batch in batches for value in batch]
    assert sum(counters.get(name, 0) for name in TOTAL) == len(everything)
    for at in range(0, len(everything), cut):
        reverse.apply(list(reversed(everything))[at : at + cut])
    assert dict(store.scan("instr")) == dict(other.scan("instr"))
    assert dict(store.scan("pme")) == dict(other.scan("pme"))
