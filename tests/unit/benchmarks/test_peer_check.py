"""Judging what another sink left: each kind of error once, and nothing counted twice."""

from __future__ import annotations

import json

import pytest

from benchmarks.peer import expected_by_key
from benchmarks.peer_check import BROKEN, Held, PeerCheck, RecordJudge, compare_peer, from_fields, verdict
from benchmarks.workload import ExpectedState
from instrument_cache.contract import Contract
from instrument_cache.records import RecordMaker
from instrument_cache.source.interface import Put

V = 1_763_674_000_123_456
APPLE = "037833100"
VALUE = b'{"v":%d,"cusip":"%b"}' % (V, APPLE.encode())
TOMBSTONE = b'{"v":%d,"~deleted_at":%d}' % (V, V)


def row(**fields: object) -> bytes:
    return json.dumps({"cusip": APPLE, **fields}, separators=(",", ":")).encode()


@pytest.fixture
def judge(contract: Contract) -> RecordJudge:
    return RecordJudge(contract)


def test_a_stored_change_record_is_compared_as_our_store_would_hold_it(contract: Contract, judge: RecordJudge) -> None:
    record = RecordMaker(contract, "test").put(Put(APPLE, row(name="Apple"), V, 1), V)
    expected = ExpectedState(contract)
    expected.put(row(name="Apple"), V)
    held = judge.held(APPLE, record)
    assert (held.op, held.version) == ("put", V)
    assert compare_peer(expected_by_key(expected.held, contract.key_prefix), [(APPLE, held)]) == PeerCheck(right=1)


def test_what_is_no_record_of_the_key_is_broken(contract: Contract, judge: RecordJudge) -> None:
    maker = RecordMaker(contract, "test")
    record = maker.put(Put(APPLE, row(), V, 1), V)
    assert judge.held(APPLE, record[:-20]) == BROKEN
    assert judge.held("594918104", record) == BROKEN
    assert judge.held(APPLE, b"") == BROKEN
    assert judge.held(APPLE, maker.delete(APPLE, V, 1, V, V)) == Held("delete", V, None)


@pytest.mark.parametrize(
    ("expected", "held", "field"),
    [
        (VALUE, Held("put", V, VALUE), "right"),
        (VALUE, Held("put", V, None), "right"),
        (VALUE, Held("put", V, VALUE + b" "), "other"),
        (VALUE, Held("put", V - 1, VALUE), "older"),
        (VALUE, BROKEN, "broken"),
        (TOMBSTONE, Held("put", V, VALUE), "alive"),
        (TOMBSTONE, Held("delete", V, None), "deletion_as_value"),
        (None, Held("put", V, VALUE), "own"),
    ],
)
def test_each_kind_of_error_has_its_name(expected: bytes | None, held: Held, field: str) -> None:
    assert verdict(expected, held) == field


def test_a_deleted_key_that_is_gone_is_right_and_a_key_told_twice_counts_once() -> None:
    expected = {"a": VALUE, "b": TOMBSTONE, "c": VALUE}
    right = Held("put", V, VALUE)
    found = compare_peer(expected, [("a", right), ("a", right), ("x", right)])
    assert found == PeerCheck(right=2, missing=1, own=1)
    assert found.wrong == 1


def test_aliases_are_nothing_that_a_sink_could_know() -> None:
    assert expected_by_key({"instr:a": b"1", "pme:P": b"2"}, "instr") == {"a": b"1"}


@pytest.mark.parametrize(
    ("op", "version", "expected"),
    [(b"put", b"12", Held("put", 12, None)), (b"put", None, BROKEN), (None, b"12", BROKEN), (b"put", b"x", BROKEN)],
)
def test_a_record_taken_apart_is_told_by_two_fields(op: bytes | None, version: bytes | None, expected: Held) -> None:
    assert from_fields(op, version) == expected
