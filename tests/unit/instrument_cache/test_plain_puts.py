"""The quick way for many records judges as the careful way for one does."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.workload import Workload
from instrument_cache.change import Change, ChangeDecoder
from instrument_cache.clock import FakeClock
from instrument_cache.contract import Contract
from instrument_cache.errors import RejectedChange
from instrument_cache.identifiers import is_cusip
from instrument_cache.identifiers_many import valid_cusips, valid_for
from instrument_cache.plain_puts import Aliases, Origin
from tests.unit.instrument_cache.test_bad_input import ACCEPTED, GOOD, REJECTED, V

PlainPut = tuple[str, bytes, Aliases, int, Origin]


def carefully(decoder: ChangeDecoder, value: bytes | None) -> PlainPut | None:
    try:
        change: Change | None = decoder.decode(value) if value is not None else None
    except RejectedChange:
        return None
    if change is None or b"~deleted_at" in change.stored or not change.key:
        return None
    return change.key, change.stored, change.aliases, change.expires_at_ms, change.origin


def quickly(contract: Contract, values: list[bytes | None]) -> list[PlainPut | None]:
    puts = ChangeDecoder(contract, FakeClock(V)).plain_puts(values, valid_for(contract.key))
    aliases, expires_at_ms = puts.aliases or [()] * len(puts.keys), puts.expires_at_ms or [0] * len(puts.keys)
    found: list[PlainPut | None] = [None] * len(values)
    columns = (puts.places, puts.keys, puts.stored, aliases, expires_at_ms, puts.origins)
    for at, *put in zip(*columns, strict=True):
        found[at] = tuple(put)
    assert [at for at, put in enumerate(found) if put is None] == list(puts.others)
    return found


def test_every_kind_of_record_is_judged_alike(contract: Contract) -> None:
    workload = Workload(contract, start_us=V, pme_percent=50)
    ordinary = [value for _, value in workload.records(2000)]
    values = [*ordinary, None, *ACCEPTED.values(), *(value for value, _ in REJECTED.values())]
    decoder = ChangeDecoder(contract, FakeClock(V))
    assert quickly(contract, values) == [carefully(decoder, value) for value in values]
    assert sum(put is not None for put in quickly(contract, list(ordinary))) > 0.9 * len(ordinary)


@settings(max_examples=200)
@given(st.integers(0, len(GOOD) - 1), st.binary(min_size=1, max_size=3))
def test_a_damaged_record_is_judged_alike(contract: Contract, at: int, damage: bytes) -> None:
    values: list[bytes | None] = [GOOD, GOOD[:at] + damage + GOOD[at + 1 :], GOOD]
    decoder = ChangeDecoder(contract, FakeClock(V))
    assert quickly(contract, values) == [carefully(decoder, value) for value in values]


@pytest.mark.parametrize("length", [9, None])
def test_many_cusips_are_judged_as_each_is(length: int | None) -> None:
    texts = st.text("0123456789ABCZ*@#a!\u0660é", min_size=length or 0, max_size=length or 12)

    @given(st.lists(texts | st.sampled_from(["037833100", "594918104", None]), max_size=8))
    def judge(values: list[str | None]) -> None:
        assert list(valid_cusips(values)) == [value is not None and is_cusip(value) for value in values]

    judge()
