"""The benchmark's records: every outcome occurs, and the expected state is what the kernel makes of them."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from benchmarks.workload import MIX, Check, ExpectedState, Workload, compare
from instrument_cache.batch import BatchApplier
from instrument_cache.change import ChangeDecoder, Outcome
from instrument_cache.clock import FakeClock
from instrument_cache.contract import Contract
from instrument_cache.store.memory import MemoryStore

V = 1_763_674_000_123_456
RECORDS = 6000
APPLE = "037833100"


def row(**fields: object) -> bytes:
    return json.dumps({"cusip": APPLE, "summary": "not kept", **fields}).encode()


def value(version: int, **fields: object) -> bytes:
    kept = dict.fromkeys(["cusip", "pme", "isin", "figi", "symbol", "name", "currency", "last_updated"])
    record = {"v": version, **kept, "cusip": APPLE, "last_updated": version, **fields}
    return json.dumps(record, separators=(",", ":")).encode()


def test_the_expected_bytes_are_the_projection_behind_the_version(contract: Contract) -> None:
    expected = ExpectedState(contract)
    assert expected.put(row(name="Apple", pme="P-1"), V) == APPLE
    assert expected.held == {
        f"instr:{APPLE}": value(V, name="Apple", pme="P-1"),
        "pme:P-1": b'{"v":%d,"cusip":"%b"}' % (V, APPLE.encode()),
    }


def test_the_newest_stays_and_a_deletion_beats_its_own_version(contract: Contract) -> None:
    expected = ExpectedState(contract)
    expected.put(row(name="new"), V + 1)
    expected.put(row(name="old"), V)
    assert expected.held == {f"instr:{APPLE}": value(V + 1, name="new")}
    expected.delete(APPLE, V, V + 5)
    assert expected.held == {f"instr:{APPLE}": value(V + 1, name="new")}
    expected.delete(APPLE, V + 1, V + 5)
    assert expected.held == {f"instr:{APPLE}": b'{"v":%d,"~deleted_at":%d}' % (V + 1, V + 5)}


@pytest.mark.parametrize("batch", [7, 500])
def test_the_kernel_ends_in_the_expected_state_with_every_outcome(contract: Contract, batch: int) -> None:
    workload = Workload(contract, start_us=V)
    values = [record for _, record in workload.records(RECORDS)]
    clock = FakeClock(V + RECORDS * 10)
    store = MemoryStore(clock)
    applier = BatchApplier(contract, store, ChangeDecoder(contract, clock))
    rejected = 0
    for at in range(0, RECORDS, batch):
        part = values[at : at + batch]
        rejected += len(applier.apply(part, [0] * len(part), range(at, at + len(part))))
    held = [pair for prefix in ("instr", "pme") for pair in store.scan(prefix)]
    assert compare(workload.expected.held, held) == Check(len(workload.expected.held), 0, 0, 0)
    counters = store.counters()
    assert all(counters[outcome] > 0 for outcome in Outcome)
    assert sum(counters[outcome] for outcome in Outcome) == RECORDS
    assert rejected == counters["rejected"] == workload.rejected


def test_records_are_of_real_size_in_the_proportions_of_the_mix_and_keyed_by_cusip(contract: Contract) -> None:
    workload = Workload(contract, start_us=V)
    records = list(workload.records(RECORDS))
    assert 600 <= workload.bytes_total / RECORDS <= 900
    assert workload.bytes_total == sum(len(record) for _, record in records)
    per_key = Counter(key for key, _ in records)
    assert len(per_key) == pytest.approx(RECORDS * MIX["new"] / 1000, rel=0.02)
    whole = [(key, json.loads(record)) for key, record in records if record.endswith(b"}")]
    assert sum(key.decode() != change["record"]["cusip"] for key, change in whole) <= workload.rejected


def test_the_same_seed_gives_the_same_records(contract: Contract) -> None:
    def records(seed: int) -> list[tuple[bytes, bytes]]:
        return list(Workload(contract, V, seed).records(500))

    assert records(1) == records(1)
    assert records(1) != records(2)


def test_comparing_tells_each_kind_of_error_once() -> None:
    expected = {"a": b"1", "b": b"2", "c": b"3"}
    assert compare(expected, expected.items()) == Check(3, 0, 0, 0)
    found = compare(expected, [("a", b"1"), ("a", b"1"), ("b", b"x"), ("b", b"x"), ("d", b"4"), ("d", b"4")])
    assert found == Check(right=1, different=1, missing=1, extra=1)
    assert not found.is_exact
