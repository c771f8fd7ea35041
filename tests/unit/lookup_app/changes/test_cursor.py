"""The ids of events."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lookup_app.changes.cursor import Cursor, CursorError, earliest, parse_cursor

TOPIC = "0123456789ab"
OFFSETS = st.dictionaries(st.integers(0, 999_999), st.integers(0, 10**17), min_size=1, max_size=20)


@given(OFFSETS)
def test_a_cursor_is_what_its_text_says(offsets: dict[int, int]) -> None:
    assert parse_cursor(Cursor(TOPIC, offsets).text()) == Cursor(TOPIC, offsets)


@pytest.mark.parametrize(
    "text",
    [
        *("17", TOPIC, f"{TOPIC}_", f"{TOPIC}_0", f"{TOPIC}_0.", f"{TOPIC}_.1", f"{TOPIC}_0.1-", f"{TOPIC}_0.1-0.2"),
        *(f"{TOPIC}_1.1-0.2", f"{TOPIC}_0.-1", f"{TOPIC.upper()}_0.1", f"{TOPIC}_0.1\n", f"{TOPIC}_0.\u0661"),
        *(f"{TOPIC}_0.{'9' * 19}", f"{TOPIC}_" + "-".join(f"{at}.1" for at in range(2000)), "x_0.1", f"{TOPIC} 0.1"),
    ],
)
def test_what_is_no_id_is_refused(text: str) -> None:
    with pytest.raises(CursorError, match=r"event|partitions"):
        parse_cursor(text)


def test_groups_begin_at_the_lowest_place() -> None:
    cursors = [Cursor(TOPIC, {0: 5, 1: 1}), Cursor(TOPIC, {0: 3, 1: 9})]
    assert earliest(cursors) == Cursor(TOPIC, {0: 3, 1: 1})


def test_a_cursor_never_goes_back_and_learns_of_new_partitions() -> None:
    cursor = Cursor(TOPIC, {0: 5})
    assert cursor.advanced({0: 3}) == cursor
    assert cursor.advanced({0: 8, 1: 4}) == Cursor(TOPIC, {0: 8})
    assert cursor.within([0, 1]) == Cursor(TOPIC, {0: 5, 1: 0})


def test_a_history_stands_behind_the_offsets() -> None:
    cursor = Cursor(TOPIC, {0: 5, 3: 1}, (2, 1_763_674_000_123))
    assert cursor.text() == f"{TOPIC}_0.5-3.1_2.1763674000123"
    assert parse_cursor(cursor.text()) == cursor
    assert cursor.advanced({0: 9}).mark == cursor.within([0]).mark == cursor.mark
    assert parse_cursor(f"{TOPIC}_0.5").mark == (0, 0)


@pytest.mark.parametrize("tail", ["_", "_1", "_1.", "_.1", "_1.1_1.1", "_1.1-0.5", "_-1.1"])
def test_a_history_has_one_form(tail: str) -> None:
    with pytest.raises(CursorError):
        parse_cursor(f"{TOPIC}_0.5{tail}")
