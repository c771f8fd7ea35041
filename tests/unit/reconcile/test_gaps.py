"""Which gaps start a run, and that the same gaps start it once."""

from __future__ import annotations

from instrument_cache.account import Discrepancy
from instrument_cache.feed_state import FeedState
from instrument_cache.reconcile.gaps import gap_name

GAP = Discrepancy(0, "gap", 50, 53, "3 records were never accounted")
OTHER = Discrepancy(1, "gap", 7, 8, "1 record")


def test_without_a_gap_there_is_no_name() -> None:
    assert gap_name([], None) == gap_name([], FeedState()) == ""
    assert gap_name([Discrepancy(0, "excess", 1, 2, "too many")], None) == ""


def test_the_same_gaps_have_the_same_name_and_others_another() -> None:
    assert gap_name([GAP, OTHER], None) == gap_name([OTHER, GAP], FeedState())
    assert len({gap_name([GAP], None), gap_name([OTHER], None), gap_name([GAP, OTHER], None)}) == 3


def test_deletes_that_were_held_back_are_a_gap() -> None:
    assert gap_name([], FeedState(sweep_refused=300)) == "refused-300"
    assert gap_name([GAP], FeedState(sweep_refused=300)).endswith(".refused-300")
