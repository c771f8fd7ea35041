"""The page, the log and the report of a run say the same, and what strangers wrote stays text."""

from __future__ import annotations

import re
from dataclasses import replace

import msgspec
import pytest

from instrument_cache.contract import Contract, QualityRule
from instrument_cache.objects_memory import MemoryObjects
from instrument_cache.quality.data_docs import page
from instrument_cache.quality.keeping import QualityResults
from instrument_cache.quality.model import BACKUP, CACHE, Checked, Finding, Order
from instrument_cache.quality.report import report_of
from instrument_cache.quality.words import lines, stops, verdict
from tests.unit.quality.conftest import ROWS, Data

EVIL = '<script>alert(1)</script><img src="http://example.com/x.png">'
TIMES = ("2026-11-29T12:00:00.000+00:00", "2026-11-29T12:00:09.000+00:00")


@pytest.fixture(scope="module")
def faulty(contract: Contract) -> Checked:
    data = Data(contract)
    data.edit(7, pme=EVIL)
    for number in range(20):
        data.edit(number, currency=EVIL)
    return data.check_cache()


def broken(severity: str) -> Finding:
    return Finding("x", None, "rowCount", severity, "mustBe 1", 2.0, "rows", 2, met=False)


def test_the_page_asks_nobody_for_anything(faulty: Checked) -> None:
    html = page("instruments", "run <b>", TIMES[0], Order(), {CACHE: faulty})
    assert re.findall(r"<(?:script|img|link|iframe|object|form)\b", html) == []
    assert re.findall(r'(?:src|href|action)="(?!#)[^"]*"|url\(|@import', html) == []
    assert "default-src 'none'" in html
    assert html.count("&lt;script&gt;alert(1)") > 10
    assert "pme_invalidValues_implied" in html
    assert "values must match this regular expression" in html
    assert "values must be of type" in html
    assert "expect_column_values" not in html  # each has a sentence


def test_an_input_that_was_not_read_has_its_reason(faulty: Checked) -> None:
    html = page("instruments", "r", TIMES[0], Order(), {CACHE: faulty, BACKUP: Checked(BACKUP, error="it is <away>")})
    assert "It could not be read: it is &lt;away&gt;" in html


def test_the_log_names_expectation_record_and_value(faulty: Checked) -> None:
    text = "\n".join(lines([faulty]))
    assert "ERROR pme_invalidValues_implied: expect_column_values_to_be_of_contract_type: expected mustBe 0" in text
    assert text.count("    instr:99") == 11  # ten of one rule, one of the other


def test_the_report_has_numbers_and_samples(faulty: Checked) -> None:
    report = report_of("instruments", "r", TIMES, Order((CACHE,), 50), {CACHE: faulty}, "page")
    assert (report.ok, report.operation) == (False, "data_quality")
    assert report.sentence.startswith("The cache breaks 1 error rule (pme_invalidValues_implied), 1 warning rule")
    assert report.numbers["broken_error"] == report.numbers["broken_warning"] == 1
    assert report.numbers["cache_rows"] == ROWS
    assert [len(rule["samples"]) for rule in report.details["inputs"][CACHE]["broken"]] == [1, 10]
    assert "Only 50 % of the records were looked at" in report.details["sampling"]
    assert msgspec.json.decode(msgspec.json.encode(report))["details"]["data_docs"] == "page"


@pytest.mark.parametrize(
    ("fail_on", "severity", "is_good"),
    [
        ("error", "warning", True),
        ("error", "error", False),
        ("error", "critical", False),
        ("warning", "info", True),
        ("info", "info", False),
        ("critical", "error", True),
        ("never", "critical", True),
    ],
)
def test_from_which_severity_on_a_run_is_red(fail_on: str, severity: str, is_good: bool) -> None:
    checked = Checked(CACHE, findings=[broken(severity)])
    assert verdict(Order(fail_on=fail_on), [checked])[1] is is_good


def test_only_a_critical_rule_of_today_stops_the_stream() -> None:
    found = [broken("critical"), broken("error")]
    assert stops([Checked(CACHE, findings=found), Checked(BACKUP, findings=found)]) == ["cache: x"]


def test_nothing_is_good_that_was_not_read() -> None:
    assert verdict(Order(fail_on="never"), [Checked(CACHE, error="away")])[1] is False
    assert verdict(Order(), [])[1] is False


def test_what_a_run_has_kept_stays(faulty: Checked) -> None:
    results = QualityResults(MemoryObjects(), "instruments")
    assert results.last_good(CACHE) == ("", None)
    kept = results.save("run:1", faulty)
    other = msgspec.structs.replace(faulty, what="a second try")
    assert results.save("run:1", other) == kept == results.need("run:1")[CACHE]
    results.save_good("run:1", "2026-11-29T12:00:00", faulty)
    results.save_good("run:2", "2026-11-29T11:00:00", other)
    assert results.last_good(CACHE) == ("2026-11-29T12-00-00-run-1", faulty.profile)


def test_a_rule_that_is_for_people_is_not_judged(contract: Contract) -> None:
    told = QualityRule("sense", None, "text", "error", description="It makes sense.")
    found = Data(replace(contract, quality=(*contract.quality, told)), rows=20).check_cache()
    [sense] = [finding for finding in found.findings if finding.rule == "sense"]
    assert (sense.judged, sense.met, sense.why) == (False, True, "a rule of the type text is for people")
