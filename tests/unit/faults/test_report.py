"""The table of docs/reliability.md: a new row replaces the old one of its fault, and findings show."""

from __future__ import annotations

from tests.faults.checker import Finding
from tests.faults.report import BEGIN, COLUMNS, END, PAGE, merged, row
from tests.faults.rounds import Round

PAGE_TEXT = f"# Title\n\n{BEGIN}\n{END}\n\nAfterwards.\n"


def rounds(fault: str, *findings: Finding) -> list[Round]:
    return [Round(fault, 7, 100, 2.4, (), None, ()), Round(fault, 8, 150, 11.6, findings, None, ())]


def cells(line: str) -> dict[str, str]:
    return dict(zip(COLUMNS, (cell.strip() for cell in line.strip("|").split("|")), strict=True))


def test_a_row_sums_the_rounds_and_keeps_the_first_seed_and_the_longest_recovery() -> None:
    found = cells(row(rounds("kill-redis"), "2025-01-01"))
    assert (found["rounds"], found["seed"], found["changes during faults"]) == ("2", "7", "250")
    assert (found["recovery, longest (s)"], found["account"], found["missing"]) == ("12", "exact", "0")


def test_findings_show_in_their_columns() -> None:
    bad = [Finding(name, "x", "") for name in ("missing", "missing", "account", "ttl")]
    found = cells(row(rounds("kill-redis", *bad), "2025-01-01"))
    assert (found["missing"], found["account"], found["other"], found["stale"]) == ("2", "1 wrong", "1", "0")


def test_a_new_row_replaces_the_old_one_and_leaves_the_rest() -> None:
    page = merged(PAGE_TEXT, [row(rounds("kill-redis"), "2025-01-01"), row(rounds("disk-full"), "2025-01-01")], "one")
    page = merged(page, [row(rounds("kill-redis"), "2025-02-02")], "another")
    assert page.count("| kill-redis |") == page.count("| disk-full |") == 1
    assert "2025-02-02" in page
    assert page.startswith("# Title")
    assert page.endswith("Afterwards.\n")
    assert "Machine: another." in page


def test_the_page_has_its_place_for_the_table() -> None:
    text = PAGE.read_text()
    assert text.count(BEGIN) == text.count(END) == 1
