"""A second dataset is a second file: issuers by LEI take the whole way of a change with no code of their own."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import count

import pytest

from instrument_cache.batch import BatchApplier
from instrument_cache.change import ChangeDecoder, is_tombstone
from instrument_cache.clock import FakeClock
from instrument_cache.contract import Contract, load_contract
from instrument_cache.records import RecordMaker
from instrument_cache.settings import Environment, contract_path
from instrument_cache.source.interface import Put
from instrument_cache.store.memory import MemoryStore

NOW = 1_763_674_000_123_456
Apply = Callable[..., dict[int, str]]
APPLE, BANK = "HWUPKR0MPOU8FGXBT394", "7H6GLXDRUGQFU57RNE97"


@pytest.fixture
def contract() -> Contract:
    return load_contract(contract_path(Environment({"ICACHE_DATASET": "issuers"})))


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore(FakeClock(NOW))


@pytest.fixture
def apply(contract: Contract, store: MemoryStore) -> Apply:
    """apply(*values) → reasons by position; offsets go on from one call to the next."""
    applier = BatchApplier(contract, store, ChangeDecoder(contract, FakeClock(NOW)))
    offsets = count()
    return lambda *values: applier.apply(values, [0] * len(values), [next(offsets) for _ in values])


def put(contract: Contract, **row: object) -> bytes:
    event = Put(str(row.get("lei")), json.dumps(row).encode(), NOW, position=1)
    return RecordMaker(contract, source_name="test").put(event, NOW)


def test_a_put_a_newer_put_an_alias_and_a_delete(contract: Contract, store: MemoryStore, apply: Apply) -> None:
    apply(put(contract, lei=APPLE, name="Apple Inc.", ticker="AAPL", last_updated=NOW, sector="x"))
    apply(put(contract, lei=APPLE, name="Old", last_updated=NOW - 1))
    stored = store.get_many([f"issuer:{APPLE}"])[0]
    assert stored is not None
    assert json.loads(stored) == {
        **{"v": NOW, "lei": APPLE, "ticker": "AAPL", "name": "Apple Inc.", "country": None, "status": None},
        "last_updated": NOW,
    }
    hint = json.loads(store.get_many(["ticker:AAPL"])[0] or b"")
    assert hint == {"v": NOW, "lei": APPLE}
    apply(RecordMaker(contract, "test").delete(APPLE, NOW, 2, NOW, NOW))
    assert store.counters()["applied"] == 2
    assert is_tombstone(store.get_many([f"issuer:{APPLE}"])[0] or b"")


@pytest.mark.parametrize(
    ("row", "code"),
    [
        ({"lei": APPLE[:-1] + "5"}, "invalid_lei"),
        ({"lei": "037833100"}, "invalid_lei"),
        ({"cusip": "037833100"}, "missing_key"),
        ({"lei": BANK, "ticker": "a ticker"}, "invalid_ticker"),
    ],
)
def test_its_own_rules_reject(contract: Contract, apply: Apply, row: dict[str, object], code: str) -> None:
    reasons = apply(put(contract, **row))
    assert str(reasons[0]).startswith(code)
