"""What a run says about itself."""

from __future__ import annotations

import pytest

from instrument_cache.backup.copying import Copied
from instrument_cache.backup.export import Exported
from instrument_cache.backup.retention import Removed
from instrument_cache.backup.summary import Steps, report
from instrument_cache.backup.verify import Verified
from instrument_cache.reports import Report

NAME = "20251121T180000Z-0123456789ab"
EXPORTED = Exported(NAME, 10, 2000, {}, 0, True)
VERIFIED = Verified(NAME, 10, 0, -1, ["first", "second"])
BOTH = ["first", "second"]


def reported(**steps: object) -> Report:
    given = {
        "exported": EXPORTED,
        "verified": VERIFIED,
        "marked": BOTH,
        "copied": Copied(),
        "removed": Removed(),
    } | steps
    return report("instruments", "run", "2025-11-21T18:00:00+00:00", "2025-11-21T18:00:09+00:00", Steps(**given), BOTH)  # type: ignore[arg-type]


def test_a_run_without_fault() -> None:
    made = reported()
    assert made.ok
    assert made.sentence == f"{NAME}: 10 entries, restored, compared, and good in first and second"
    assert made.numbers == {
        "regions": 2, "clock_ahead_s": 0.0, "entries": 10, "bytes": 2000, "compared": 10, "removed": 0,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("steps", "sentence"),
    [
        ({"exported": None}, "no backup was made"),
        ({"verified": None}, f"{NAME} was not proved"),
        ({"marked": None}, f"{NAME} was proved but not marked as good"),
        ({"marked": ["first"]}, "the second region lacks it: it has no proved copy; `icache backup copy` gives it one"),
        ({"copied": Copied(failed={"x": "damaged"})}, "1 older backups are whole in no region"),
        ({"clock_ahead_s": 300.4}, "the clock here is +300 s off that of Redis"),
        ({"clock_ahead_s": -299.6}, "the clock here is -300 s off that of Redis"),
    ],
)
def test_a_fault_is_one_sentence_and_never_ok(steps: dict[str, object], sentence: str) -> None:
    made = reported(**steps)
    assert (made.ok, made.sentence) == (False, sentence)


def test_says_why_a_region_was_left_out() -> None:
    exported = Exported(NAME, 10, 2000, {"second": "S3 (far) does not answer"}, 0, True)
    made = reported(exported=exported, marked=["first"])
    assert (made.ok, made.numbers["regions"]) == (False, 1)
    assert made.sentence == "the second region lacks it: S3 (far) does not answer"


def test_a_region_that_came_back_in_time_is_no_fault() -> None:
    exported = Exported(NAME, 10, 2000, {"second": "S3 (far) does not answer"}, 0, True)
    assert reported(exported=exported, marked=["first"], copied=Copied(copied={"second": [NAME]})).ok
