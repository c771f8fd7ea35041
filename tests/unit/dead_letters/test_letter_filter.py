"""Which letters a filter takes."""

from __future__ import annotations

import pytest

from instrument_cache.dead_letters.letter_filter import LetterFilter, select
from instrument_cache.errors import DeadLetterError
from tests.unit.dead_letters.letters import APPLE, HOUR_US, MICROSOFT, NOW_US, letter, put

LETTERS = [
    letter(0, put(APPLE), code="version_in_future"),
    letter(1, put(MICROSOFT), code="too_large", time_us=NOW_US + HOUR_US),
    letter(2, b"{broken", key=APPLE.encode(), time_us=NOW_US + 2 * HOUR_US),
]


@pytest.mark.parametrize(
    ("wanted", "offsets"),
    [
        (LetterFilter(), [0, 1, 2]),
        (LetterFilter(codes=frozenset({"too_large", "version_in_future"})), [0, 1]),
        (LetterFilter(keys=frozenset({APPLE})), [0, 2]),
        (LetterFilter(positions=frozenset({"instruments-0-1"})), [1]),
        (LetterFilter(since_us=NOW_US + HOUR_US), [1, 2]),
        (LetterFilter(until_us=NOW_US + HOUR_US), [0]),
        (LetterFilter(since_us=NOW_US + 1, until_us=NOW_US + 2 * HOUR_US), [1]),
        (LetterFilter(codes=frozenset({"too_large"}), keys=frozenset({APPLE})), []),
    ],
)
def test_every_condition_counts(wanted: LetterFilter, offsets: list[int]) -> None:
    assert [found.offset for found in select(LETTERS, wanted, "cusip")] == offsets


def test_a_record_that_was_rejected_again_is_one_letter() -> None:
    again = letter(0, put(APPLE), letter_offset=50, code="another")
    assert list(select([LETTERS[0], again], LetterFilter(), "cusip")) == [LETTERS[0]]
    assert list(select([LETTERS[0], again], LetterFilter(codes=frozenset({"another"})), "cusip")) == [again]


@pytest.mark.parametrize("until_us", [NOW_US, NOW_US - 1])
def test_an_empty_time_is_refused(until_us: int) -> None:
    with pytest.raises(DeadLetterError, match="`until` must be after `since`"):
        LetterFilter(since_us=NOW_US, until_us=until_us)


def test_the_audit_record_says_the_filter() -> None:
    wanted = LetterFilter(codes=frozenset({"b", "a"}), since_us=0)
    assert wanted.as_json() == {
        "codes": ["a", "b"],
        "keys": [],
        "positions": [],
        "since": "1970-01-01T00:00:00+00:00",
        "until": None,
    }
