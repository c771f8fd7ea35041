"""Rules → suites of Great Expectations: one for each batch of rows, one for what needs all rows at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import great_expectations.expectations as gxe
from great_expectations import ExpectationSuite

from instrument_cache.contract import Field, QualityRule
from instrument_cache.contract.field_changes import TYPE_NAMES
from instrument_cache.quality.expectations import (
    ExpectColumnValuesToBeInContractRange,
    ExpectColumnValuesToBeOfContractType,
)

RULE: Final = "rule"


def batch_suite(rules: Sequence[QualityRule], fields: Mapping[str, Field]) -> ExpectationSuite:
    """What each row is held against by itself."""
    return _suite("batch", (e for rule in rules if rule.field for e in _of_rows(rule, fields[rule.field])))


def whole_suite(rules: Sequence[QualityRule]) -> ExpectationSuite:
    """What all rows are held against together: a value that may be there only once."""
    return _suite("whole", (gxe.ExpectColumnValuesToBeUnique(**_about(rule)) for rule in of_whole(rules)))


def of_whole(rules: Iterable[QualityRule]) -> list[QualityRule]:
    """The rules that need all rows at once."""
    return [rule for rule in rules if rule.metric == "duplicateValues"]


def _suite(name: str, expectations: Iterable[Any]) -> ExpectationSuite:
    return ExpectationSuite(name=name, expectations=list(expectations))


def _about(rule: QualityRule) -> dict[str, Any]:
    return {"column": rule.field, "meta": {RULE: rule.name}}


def _of_rows(rule: QualityRule, field: Field) -> Iterator[Any]:
    """The expectations of a rule on values; a value that breaks one of them is not as expected."""
    about, wanted = _about(rule), rule.arguments
    if rule.metric in ("nullValues", "missingValues"):
        yield gxe.ExpectColumnValuesToNotBeNull(**about)
    if texts := [value for value in wanted.get("missingValues", ()) if value is not None]:
        yield gxe.ExpectColumnValuesToNotBeInSet(value_set=texts, **about)
    if rule.metric == "invalidValues":
        yield from _of_valid(rule, field)


def _of_valid(rule: QualityRule, field: Field) -> Iterator[Any]:
    about, wanted = _about(rule), rule.arguments
    if not wanted:
        form = {"type": TYPE_NAMES[field.type], "identifier": field.identifier, "pattern": field.pattern}
        yield ExpectColumnValuesToBeOfContractType(form=form, **about)
    if "pattern" in wanted:
        yield gxe.ExpectColumnValuesToMatchRegex(regex=rf"\A(?:{wanted['pattern']})\Z", **about)
    if "validValues" in wanted:
        yield gxe.ExpectColumnValuesToBeInSet(value_set=wanted["validValues"], **about)
    ranges = {"low": "minimum", "high": "maximum", "low_length": "minLength", "high_length": "maxLength"}
    if given := {name: wanted[of] for name, of in ranges.items() if of in wanted}:
        yield ExpectColumnValuesToBeInContractRange(**given, **about)
