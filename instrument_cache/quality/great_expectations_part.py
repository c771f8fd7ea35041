"""What Great Expectations has to say of an input, by its own renderer: HTML that asks no other host for anything.

Its tables take what the data holds for HTML, so samples are escaped before it sees them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import escape
from typing import Any, Final

from great_expectations.core import ExpectationSuiteValidationResult, ExpectationValidationResult
from great_expectations.expectations.expectation_configuration import ExpectationConfiguration
from great_expectations.render.renderer import ValidationResultsPageRenderer
from great_expectations.render.view import DefaultJinjaSectionView

from instrument_cache.quality import expectations  # noqa: F401 - the renderer finds the product's own by name
from instrument_cache.quality.model import Checked, Evaluated, Finding

# To pages of its own site, which are not there.
_DEAD_LINK: Final = re.compile(r' href="\.\./[^"]*"')


def rendered(checked: Checked, run_id: str, moment: str) -> str:
    """Its sections. The page around them, with styles and scripts of public hosts, is left out."""
    document = ValidationResultsPageRenderer(run_info_at_end=False).render(_result(checked, run_id, moment))
    view = DefaultJinjaSectionView()
    sections = [section.to_json_dict() for section in document.sections]
    html = "\n".join(
        view.render({"section": section, "section_loop": {"index": f"{checked.input}-{number}"}})
        for number, section in enumerate(sections, start=1)
    )
    return _DEAD_LINK.sub("", html)


def _result(checked: Checked, run_id: str, moment: str) -> ExpectationSuiteValidationResult:
    results = list(_results(checked))
    met = sum(bool(result.success) for result in results)
    statistics = {
        "evaluated_expectations": len(results),
        "successful_expectations": met,
        "unsuccessful_expectations": len(results) - met,
        "success_percent": met / max(len(results), 1) * 100,
    }
    return ExpectationSuiteValidationResult(
        success=met == len(results),
        results=results,
        suite_name=f"contract, {checked.input}",
        statistics=statistics,
        meta={"run_id": {"run_name": run_id, "run_time": moment}},
    )


def _results(checked: Checked) -> Iterator[ExpectationValidationResult]:
    for finding in checked.findings:
        for evaluated in finding.expectations:
            yield ExpectationValidationResult(
                success=finding.met,
                expectation_config=ExpectationConfiguration(
                    type=evaluated.type, kwargs=evaluated.kwargs, meta=_meta(finding)
                ),
                result=_counts(evaluated),
                exception_info={"raised_exception": False, "exception_message": None, "exception_traceback": None},
            )


def _meta(finding: Finding) -> dict[str, Any]:
    return {"rule": finding.rule, "severity": finding.severity}


def _counts(evaluated: Evaluated) -> dict[str, Any]:
    tally = evaluated.tally
    return {
        "element_count": tally.looked,
        "unexpected_count": tally.unexpected,
        "unexpected_percent": tally.unexpected / max(tally.looked, 1) * 100,
        "partial_unexpected_list": [escape(sample.value) for sample in tally.samples],
    }
