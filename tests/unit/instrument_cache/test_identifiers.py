"""CUSIP and pattern identifiers. The table is held against python-stdnum's own check."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stdnum import cusip as stdnum_cusip

from instrument_cache.errors import IdentifierError
from instrument_cache.identifiers import canonical_cusip, check_cusip, is_cusip, pattern_check

SIGNS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ*@#"


@given(base=st.text(SIGNS, min_size=8, max_size=8), check=st.sampled_from("0123456789"))
def test_agrees_with_the_reference_implementation(base: str, check: str) -> None:
    assert is_cusip(base + check) == stdnum_cusip.is_valid(base + check)
    assert is_cusip(base + stdnum_cusip.calc_check_digit(base))


@given(value=st.text(max_size=12))
def test_any_text_is_judged_without_an_error(value: str) -> None:
    if not is_cusip(value):
        with pytest.raises(IdentifierError):
            check_cusip(value)


@pytest.mark.parametrize(
    ("value", "rule"),
    [
        ("037833101", "check_digit"),
        ("03783310", "length"),
        ("0378331000", "length"),
        ("", "length"),
        ("03783310a", "characters"),
        ("0378331 0", "characters"),
        ("０37833100", "ascii"),  # noqa: RUF001
        ("037833100\n", "length"),
        ("03783310A", "check_digit"),
    ],
)
def test_names_the_broken_rule(value: str, rule: str) -> None:
    with pytest.raises(IdentifierError) as caught:
        check_cusip(value)
    assert caught.value.rule == rule
    assert repr(value) in str(caught.value)


def test_lower_case_and_spaces_are_canonicalised_and_nothing_is_guessed() -> None:
    assert canonical_cusip(" 38259p 508 ") == "38259P508"
    with pytest.raises(IdentifierError):
        canonical_cusip("O37833100")


def test_a_pattern_holds_for_the_whole_value_in_ascii() -> None:
    check = pattern_check("pme", r"[A-Z]\d{2}")
    assert check("A12") == "A12"
    for bad in ("A123", "xA12", "A1２", "A12\n"):  # noqa: RUF001
        with pytest.raises(IdentifierError):
            check(bad)
