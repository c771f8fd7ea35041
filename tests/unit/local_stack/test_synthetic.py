"""Synthetic instruments: real CUSIPs of the internal-use issuers, the same each time, of the size of real rows."""

from __future__ import annotations

import statistics

import pytest
from stdnum import cusip as stdnum_cusip

from instrument_cache.identifiers import is_cusip
from local_stack.publish import paced
from local_stack.synthetic import ROWS_MAX, synthetic_cusip, synthetic_rows


@pytest.mark.parametrize("number", [0, 1, 9, 10, 12_345, ROWS_MAX - 1])
def test_a_synthetic_cusip_is_valid_and_of_an_internal_issuer(number: int) -> None:
    cusip = synthetic_cusip(number)
    assert is_cusip(cusip)
    assert stdnum_cusip.is_valid(cusip)
    assert 990 <= int(cusip[:3]) <= 999


def test_synthetic_cusips_are_distinct() -> None:
    assert len({synthetic_cusip(number) for number in range(50_000)}) == 50_000


def test_the_same_arguments_give_the_same_rows_of_the_size_of_real_ones() -> None:
    rows = list(synthetic_rows(500, seed=3, start=7))
    assert rows == list(synthetic_rows(500, seed=3, start=7))
    assert 600 <= statistics.mean(map(len, rows)) <= 900


def test_pacing_keeps_every_row_in_order_and_the_schedule() -> None:
    rows = [b"%d" % number for number in range(40)]
    assert [row for chunk in paced(rows, 400.0) for row in chunk] == rows
    assert [row for chunk in paced(rows, None) for row in chunk] == rows
