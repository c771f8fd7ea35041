"""A version has 16 digits on the wire, whatever the source counts, and keeps its order."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instrument_cache.contract import VersionUnit
from instrument_cache.contract.model import WIRE_VERSION_MAX, WIRE_VERSION_MIN

numbers = st.one_of(st.integers(0, 2**63), st.integers(10**9, 10**10), st.integers(10**12, 10**13))
units = st.sampled_from(list(VersionUnit))


@pytest.mark.parametrize(
    ("unit", "value", "wire"),
    [
        (VersionUnit.MICROSECONDS, 1_763_674_000_123_456, 1_763_674_000_123_456),
        (VersionUnit.MILLISECONDS, 1_763_674_000_123, 1_763_674_000_123_000),
        (VersionUnit.SECONDS, 1_763_674_000, 1_763_674_000_000_000),
        (VersionUnit.LOG_POSITION, 0, WIRE_VERSION_MIN),
        (VersionUnit.LOG_POSITION, 24_023_128, 1_000_000_024_023_128),
    ],
)
def test_a_source_s_number_becomes_16_digits_and_back(unit: VersionUnit, value: int, wire: int) -> None:
    assert unit.to_wire(value) == wire
    assert unit.from_wire(wire) == value


@given(unit=units, first=numbers, second=numbers)
def test_the_order_stays_and_what_does_not_fit_is_refused(unit: VersionUnit, first: int, second: int) -> None:
    low, high = unit.from_wire(WIRE_VERSION_MIN), unit.from_wire(WIRE_VERSION_MAX)
    for value in (first, second):
        if not low <= value <= high:
            with pytest.raises(ValueError, match=str(value)):
                unit.to_wire(value)
            return
    assert (unit.to_wire(first) < unit.to_wire(second)) == (first < second)
    assert WIRE_VERSION_MIN <= unit.to_wire(first) <= WIRE_VERSION_MAX
    assert unit.from_wire(unit.to_wire(first)) == first


@pytest.mark.parametrize(
    ("unit", "value"),
    [
        (VersionUnit.MICROSECONDS, 1_763_674_000_123),
        (VersionUnit.MILLISECONDS, 1_763_674_000_123_456),
        (VersionUnit.SECONDS, 1_763_674_000_123),
        (VersionUnit.LOG_POSITION, -1),
    ],
)
def test_a_number_of_another_unit_does_not_pass(unit: VersionUnit, value: int) -> None:
    with pytest.raises(ValueError, match="must be from"):
        unit.to_wire(value)
