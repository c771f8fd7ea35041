from __future__ import annotations

from dataclasses import replace

from instrument_cache.drills.failover import FailoverPlan, FailoverResult, _behind, _repair
from instrument_cache.drills.load import Answers
from instrument_cache.store.memory import MemoryStore

GOOD = FailoverResult(
    write_gap_s=2.2,
    cached=Answers(total=700, stale=200),
    changing=Answers(total=700, failed=190),
    acknowledged=3000,
    lost=4,
    unrepaired=0,
    took_s=13.0,
)
OLD, NEW = (b'{"v":%d,"cusip":"x"}' % version for version in (1_700_000_000_000_001, 1_700_000_000_000_002))


def test_failed_reads_of_what_changes_are_told_and_no_target() -> None:
    assert GOOD.misses(FailoverPlan()) == []
    assert GOOD.numbers()["failed_other_reads"] == 190
    assert GOOD.numbers()["repaired_writes"] == 4


def test_missed_targets_are_sentences() -> None:
    bad = replace(GOOD, write_gap_s=3.6, cached=Answers(total=10, failed=1), unrepaired=1)
    assert bad.misses(FailoverPlan()) == [
        "no write was taken for 3.6 s (target 3.5 s)",
        "1 cached reads failed (target 0)",
        "1 lost writes were not repaired (target 0)",
    ]


def test_lost_writes_are_found_and_repaired() -> None:
    store = MemoryStore()
    store.offer({"instr:a": NEW, "instr:b": OLD})
    expected = {"instr:a": OLD, "instr:b": NEW, "instr:c": OLD}
    assert _behind(store, expected) == {"instr:b": NEW, "instr:c": OLD}
    assert _repair(store, expected) == (2, 0)
    assert store.get_many(["instr:a", "instr:b", "instr:c"]) == [NEW, NEW, OLD]
