"""The change record: what is accepted, what is rejected and why, and the order that the stored bytes carry."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instrument_cache.change import ChangeDecoder, is_tombstone, stored_tombstone, stored_value, version_of
from instrument_cache.clock import FakeClock
from instrument_cache.contract import Contract
from instrument_cache.errors import RejectedChange

V = 1_763_674_000_123_456
APPLE = "037833100"


@pytest.fixture
def decoder(contract: Contract) -> ChangeDecoder:
    return ChangeDecoder(contract, FakeClock(V))


def put(record: object, version: object = V) -> bytes:
    return json.dumps({"op": "put", "version": version, "record": record}, ensure_ascii=False).encode()


def test_a_put_becomes_the_contracts_projection_with_its_version_first(decoder: ChangeDecoder) -> None:
    change = decoder.decode(put({"name": "Apple", "unknown": [1], "cusip": APPLE, "pme": "P-1", "last_updated": V}))
    assert list(json.loads(change.stored)) == [
        *("v", "cusip", "pme", "isin", "figi", "symbol", "name", "currency", "last_updated")
    ]
    assert change.stored.startswith(b'{"v":%d,"cusip":"%b"' % (V, APPLE.encode()))
    assert (change.key, change.aliases, change.expires_at_ms) == (APPLE, (("pme", "P-1"),), 0)
    assert version_of(change.stored) == V


def test_a_row_without_last_updated_takes_its_version(decoder: ChangeDecoder) -> None:
    assert json.loads(decoder.decode(put({"cusip": APPLE})).stored)["last_updated"] == V


def test_a_delete_is_remembered_from_when_it_happened_not_from_its_version(
    decoder: ChangeDecoder, contract: Contract
) -> None:
    old = V - 10**14
    record = {"op": "delete", "version": old, "source": {"timestamp": V}, "record": {"cusip": APPLE}}
    change = decoder.decode(json.dumps(record).encode())
    assert change.stored == stored_tombstone(old, V)
    assert change.expires_at_ms == V // 1000 + contract.tombstone_ttl_s * 1000


REJECTED = {
    "empty": (b"", "malformed_json"),
    "not json": (b"{broken", "malformed_json"),
    "truncated": (put({"cusip": APPLE})[:-3], "malformed_json"),
    "NaN": (b'{"op":"put","version":%d,"record":{"cusip":"037833100","x":NaN}}' % V, "malformed_json"),
    "not utf-8": (put({"cusip": APPLE, "name": "?"}).replace(b"?", b"\xff"), "malformed_json"),
    "lone surrogate": (put({"cusip": APPLE, "name": "?"}).replace(b"?", rb"\ud800"), "malformed_json"),
    "deep": (put({"cusip": APPLE, "x": "?"}).replace(b'"?"', b"[" * 20_000 + b"]" * 20_000), "too_deep"),
    "too large": (put({"cusip": APPLE, "x": "y" * 70_000}), "too_large"),
    "array": (b"[]", "invalid_record"),
    "null": (b"null", "invalid_record"),
    "record is an array": (put([1]), "invalid_record"),
    "no version": (b'{"op":"put","record":{"cusip":"037833100"}}', "invalid_version"),
    "no record": (b'{"op":"put","version":%d}' % V, "invalid_record"),
    "key is a number": (put({"cusip": 37833100}), "invalid_record"),
    "no key": (put({"name": "x"}), "missing_key"),
    "null key": (put({"cusip": None}), "missing_key"),
    "empty key": (put({"cusip": ""}), "invalid_cusip"),
    "check digit": (put({"cusip": "037833101"}), "invalid_cusip"),
    "full-width digits": (put({"cusip": "０37833100"}), "invalid_cusip"),  # noqa: RUF001
    "lower case": (put({"cusip": "38259p508"}), "invalid_cusip"),
    "bad alias": (put({"cusip": APPLE, "pme": "a b"}), "invalid_pme"),
    "version is a text": (put({"cusip": APPLE}, "x"), "invalid_version"),
    "version has 15 digits": (put({"cusip": APPLE}, 10**15 - 1), "invalid_version"),
    "version has 17 digits": (put({"cusip": APPLE}, 10**16), "invalid_version"),
    "version is a float": (put({"cusip": APPLE}, V + 0.5), "invalid_version"),
    "version is negative": (put({"cusip": APPLE}, -V), "invalid_version"),
    "version in the future": (put({"cusip": APPLE}, V + 601_000_000), "version_in_future"),
    "unknown op": (b'{"op":"zap","version":%d,"record":{"cusip":"037833100"}}' % V, "unknown_op"),
}


@pytest.mark.parametrize(("value", "code"), REJECTED.values(), ids=REJECTED.keys())
def test_what_is_not_a_valid_change_is_rejected_with_its_reason(
    decoder: ChangeDecoder, value: bytes, code: str
) -> None:
    with pytest.raises(RejectedChange) as caught:
        decoder.decode(value)
    assert caught.value.code == code
    assert len(str(caught.value)) > len(code) + 10


@given(value=st.binary(max_size=300))
def test_no_bytes_whatever_raise_anything_else(contract: Contract, value: bytes) -> None:
    with pytest.raises(RejectedChange):
        ChangeDecoder(contract).decode(value)


versions = st.integers(10**15, 10**16 - 1)
payloads = st.dictionaries(st.sampled_from(["name", "symbol", "pme"]), st.text(max_size=8), max_size=3)


@given(first=versions, second=versions, payload=payloads, other=payloads, gone=versions)
def test_bytes_carry_the_whole_rank(
    first: int, second: int, payload: dict[str, str], other: dict[str, str], gone: int
) -> None:
    a = stored_value(first, json.dumps({"cusip": APPLE, **payload}).encode())
    b = stored_value(second, json.dumps({"cusip": APPLE, **other}).encode())
    if first != second:
        assert (a > b) == (first > second)
    tombstone = stored_tombstone(first, gone)
    assert tombstone > a
    assert is_tombstone(tombstone)
    assert not is_tombstone(a)
    assert (tombstone > b) == (first >= second)
