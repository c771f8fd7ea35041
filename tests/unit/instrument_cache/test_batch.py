"""One batch: the newest per key, outcomes that add up, reasons by position, and a store that comes back."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instrument_cache.batch import BatchApplier
from instrument_cache.clock import FakeClock
from instrument_cache.contract import Contract
from instrument_cache.errors import StoreUnavailable
from instrument_cache.store.memory import MemoryStore

V = 1_763_674_000_123_456
APPLE, MICROSOFT = "037833100", "594918104"
TOTAL = ("applied", "duplicate", "stale", "superseded", "rejected")


def put(cusip: str, version: int = V, **fields: object) -> bytes:
    return json.dumps({"op": "put", "version": version, "record": {"cusip": cusip, **fields}}).encode()


def delete(cusip: str, version: int) -> bytes:
    record = {"op": "delete", "version": version, "source": {"timestamp": version}, "record": {"cusip": cusip}}
    return json.dumps(record).encode()


def test_only_the_newest_of_a_batch_reaches_the_store(contract: Contract) -> None:
    store = MemoryStore(FakeClock(V))
    batch = [put(APPLE, V + 1, name="new"), put(APPLE, V, name="old"), put(MICROSOFT), put(MICROSOFT)]
    assert BatchApplier(contract, store).apply(batch) == {}
    assert json.loads(store.get_many([f"instr:{APPLE}"])[0] or b"")["name"] == "new"
    assert store.counters() == {"applied": 2, "superseded": 1, "duplicate": 1}


def test_rejects_are_told_by_position_and_touch_nothing(contract: Contract) -> None:
    store = MemoryStore(FakeClock(V))
    reasons = BatchApplier(contract, store).apply([b"{", put(APPLE), put("037833101"), None])
    assert {at: reason.partition(":")[0] for at, reason in reasons.items()} == {
        0: "malformed_json",
        2: "invalid_cusip",
    }
    assert dict(store.scan("instr")).keys() == {f"instr:{APPLE}"}
    assert store.counters() == {"applied": 1, "rejected": 2, "duplicate": 1}


def test_a_put_and_its_delete_in_one_batch_leave_the_delete(contract: Contract) -> None:
    store = MemoryStore(FakeClock(V))
    BatchApplier(contract, store).apply([delete(APPLE, V), put(APPLE, V, pme="P-1")])
    assert b"~deleted_at" in (store.get_many([f"instr:{APPLE}"])[0] or b"")


def test_aliases_follow_the_same_order(contract: Contract) -> None:
    store = MemoryStore(FakeClock(V))
    BatchApplier(contract, store).apply([put(APPLE, V + 1, pme="P-1"), put(MICROSOFT, V, pme="P-1")])
    assert store.get_many(["pme:P-1"]) == [b'{"v":%d,"cusip":"%b"}' % (V + 1, APPLE.encode())]


def test_waits_for_a_store_that_is_away_and_gives_up_in_time(contract: Contract) -> None:
    class Away(MemoryStore):
        failures = 2

        def offer(self, values: Mapping[str, bytes], expires_at_ms: Mapping[str, int] | None = None) -> str:
            self.failures -= 1
            if self.failures >= 0:
                raise StoreUnavailable("away")
            return super().offer(values, expires_at_ms)

    store = Away()
    BatchApplier(contract, store, retry_s=5).apply([put(APPLE)])
    assert store.counters() == {"applied": 1}
    store.failures = 1000
    with pytest.raises(StoreUnavailable):
        BatchApplier(contract, store, retry_s=0.1).apply([put(APPLE)])


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
    for batch in batches:
        BatchApplier(contract, store).apply(batch)
    counters = store.counters()
    everything = [value for batch in batches for value in batch]
    assert sum(counters.get(name, 0) for name in TOTAL) == len(everything)
    for at in range(0, len(everything), cut):
        BatchApplier(contract, other).apply(list(reversed(everything))[at : at + cut])
    assert dict(store.scan("instr")) == dict(other.scan("instr"))
    assert dict(store.scan("pme")) == dict(other.scan("pme"))
