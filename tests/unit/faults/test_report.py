"""The table of docs/reliability.md: a new row replaces the old one of its fault, and findings show."""

from __future__ import annotations

from tests.faults.checker import Finding
from tests.faults.naming import Named
from tests.faults.operations import report as operations_report
from tests.faults.operations.rounds import OperationRound, Wrong
from tests.faults.report import BEGIN, COLUMNS, END, PAGE, merged, row
from tests.faults.rounds import Round

WRONG = Wrong("left", "lock:x", "still held")
PAGE_TEXT = f"# Title\n\n{BEGIN}\n{END}\n\nAfterwards.\n"


def rounds(fault: str, *findings: Finding) -> list[Round]:
    soon, late = (Named(after_s, "red", "redis", "Redis does not answer") for after_s in (1.4, 16.6))
    return [
        Round(fault, 7, 100, 2.4, (), soon, (), soon),
        Round(fault, 8, 150, 11.6, findings, soon, (), late),
    ]


def cells(line: str) -> dict[str, str]:
    return dict(zip(COLUMNS, (cell.strip() for cell in line.strip("|").split("|")), strict=True))


def test_a_row_sums_the_rounds_and_keeps_the_first_seed_and_the_longest_recovery() -> None:
    found = cells(row(rounds("kill-redis"), "2025-01-01"))
    assert (found["rounds"], found["seed"], found["changes during faults"]) == ("2", "7", "250")
    assert (found["recovery, longest (s)"], found["account"], found["missing"]) == ("12", "exact", "0")
    assert (found["doctor (s)"], found["page (s)"]) == ("1", "17")


def test_a_fault_that_was_not_named_shows() -> None:
    unnamed = [*rounds("kill-redis"), Round("kill-redis", 9, 100, 2.4, (), None, (), None)]
    found = cells(row(unnamed, "2025-01-01"))
    assert (found["doctor (s)"], found["page (s)"]) == ("never", "never")


def test_findings_show_in_their_columns() -> None:
    bad = [Finding(name, "x", "") for name in ("missing", "missing", "account", "ttl")]
    found = cells(row(rounds("kill-redis", *bad), "2025-01-01"))
    assert (found["missing"], found["account"], found["other"], found["stale"]) == ("2", "1 wrong", "1", "0")


def test_a_new_row_replaces_the_old_one_and_leaves_the_rest() -> None:
    page = merged(PAGE_TEXT, [row(rounds("kill-redis"), "2025-01-01"), row(rounds("disk-full"), "2025-01-01")], "one")
    page = merged(page, [row(rounds("kill-redis"), "2025-02-02")], "another")
    assert page.count("| kill-redis |") == page.count("| disk-full |") == 1
    assert "2025-02-02" in page
    assert sum(line.startswith("| ---") for line in page.splitlines()) == 1
    assert page.startswith("# Title")
    assert page.endswith("Afterwards.\n")
    assert "Machine: another." in page


def test_the_page_has_its_place_for_the_table() -> None:
    text = PAGE.read_text()
    assert text.count(BEGIN) == text.count(END) == 1


def test_operations_have_a_table_of_their_own() -> None:
    named = Named(12.3, "red", "s3:first", "S3 is away")
    done = [
        OperationRound("restore-s3-away", 7, 2, 3.4, (), named, None),
        OperationRound("restore-s3-away", 8, 1, 0.0, (WRONG,), named, named),
    ]
    line = operations_report.row(done, "2025-01-01")
    assert line == "| restore-s3-away | 2 | 7 | 2 | 3 | 12 | never | 0 | 0 | 1 | 0 | 0 | 0 | 0 | 0 | 2025-01-01 |"
    text = PAGE.read_text()
    assert all(text.count(mark) == 1 for mark in operations_report.MARKS)
    page = merged(text, [line], "one", operations_report.MARKS, operations_report.COLUMNS)
    assert page.count("| restore-s3-away |") == 1
    before, _, after = text.partition(operations_report.MARKS[0])
    assert page.startswith(before)
    assert page.endswith(after.partition(operations_report.MARKS[1])[2])
