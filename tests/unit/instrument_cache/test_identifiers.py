"""Identifiers with check digits and by pattern. What is our own is held against python-stdnum's check."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stdnum import cusip as stdnum_cusip
from stdnum import lei as stdnum_lei
from stdnum.iso7064 import mod_97_10

from instrument_cache.contract import Field
from instrument_cache.errors import IdentifierError
from instrument_cache.identifiers import (
    canonical_cusip,
    canonical_for,
    check_cusip,
    check_figi,
    check_isin,
    check_lei,
    is_cusip,
    is_lei,
    pattern_check,
)

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


LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"


@given(base=st.text(LETTERS, min_size=18, max_size=18), check=st.from_regex(r"[0-9]{2}", fullmatch=True))
def test_a_lei_agrees_with_the_reference_implementation(base: str, check: str) -> None:
    assert is_lei(base + check) == stdnum_lei.is_valid(base + check)
    assert check_lei(base + mod_97_10.calc_check_digits(base))


@given(value=st.one_of(st.text(max_size=21), st.text(LETTERS + "٣９", min_size=20, max_size=20)))
def test_no_text_makes_a_check_raise_anything_else(value: str) -> None:
    for check in (check_lei, check_isin, check_figi):
        with suppress(IdentifierError):
            assert check(value) == value


GOOD = {check_lei: "HWUPKR0MPOU8FGXBT394", check_isin: "US0378331005", check_figi: "BBG000BLNQ16"}


@pytest.mark.parametrize(("check", "value"), GOOD.items())
def test_the_one_spelling_passes_and_no_other(check: Callable[[str], str], value: str) -> None:
    assert check(value) == value
    for other in (value.lower(), value + " ", f" {value}", value[:-1], value + "\n", value[0] + "-" + value[1:], ""):
        with pytest.raises(IdentifierError):
            check(other)


@pytest.mark.parametrize(
    ("check", "value", "rule"),
    [
        (check_lei, "HWUPKR0MPOU8FGXBT395", "check_digit"),
        (check_lei, "HWUPKR0MPOU8FGXBT39A", "characters"),
        (check_lei, "HWUPKR0MPOU8FGXBT3９4", "ascii"),  # noqa: RUF001
        (check_isin, "US0378331006", "check_digit"),
        (check_isin, "ZZ0378331006", "component"),
        (check_figi, "BBG000BLNQ14", "check_digit"),
        (check_figi, "BBH000BLNQ16", "component"),
        (check_figi, "BAG000BLNQ16", "format"),
    ],
)
def test_names_the_broken_rule_of_other_identifiers(check: Callable[[str], str], value: str, rule: str) -> None:
    with pytest.raises(IdentifierError) as caught:
        check(value)
    assert caught.value.rule == rule


def test_people_may_type_check_digit_ids_in_lower_case_and_opaque_ids_only_as_they_are() -> None:
    assert canonical_for(Field("lei", str, "lei"))(" hwup kr0mpou8fgxbt394") == "HWUPKR0MPOU8FGXBT394"
    with pytest.raises(IdentifierError):
        canonical_for(Field("pme", str, "pattern", "[A-Z]+"))("abc")
    assert canonical_for(Field("name", str))("as it is") == "as it is"
