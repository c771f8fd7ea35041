"""Quality rules that cannot hold, or contradict the field or each other. Each error names field, rule and way out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import combinations
from math import inf
from typing import Any, Final

from instrument_cache.contract.bounds import Bounds, bounds
from instrument_cache.contract.model import Contract, Field, QualityRule
from instrument_cache.contract.quality import FIELD_FIGURES, FIELD_METRICS
from instrument_cache.errors import ContractError

_COUNTS: Final = Bounds(low=0)
_SHARES: Final = Bounds(low=0, high=100)
_ARGUMENTS: Final = {
    "missingValues": ("missingValues",),
    "invalidValues": ("pattern", "validValues", "minimum", "maximum", "minLength", "maxLength"),
}
_OF_TEXTS: Final = ("pattern", "minLength", "maxLength")
_OF_NUMBERS: Final = ("minimum", "maximum")
_RANGES: Final = (("minimum", "maximum"), ("minLength", "maxLength"))


def check_quality(contract: Contract) -> None:
    """Raises ContractError for the first contradiction."""
    fields = {field.name: field for field in contract.input_fields}
    for rule in contract.quality:
        _check_place(rule, contract)
        _check_possible(rule)
        if rule.field is not None:
            _check_arguments(rule, fields[rule.field])
            _check_field(rule, fields[rule.field], contract)
    for one, other in combinations(contract.quality, 2):
        _check_together(one, other)


def _refuse(rule: QualityRule, what: str, way: str) -> ContractError:
    place = f"field {rule.field!r}" if rule.field else "the dataset"
    return ContractError(f"{place}: the quality rule {rule.name!r} {what}; {way}")


def _check_place(rule: QualityRule, contract: Contract) -> None:
    if rule.metric in FIELD_METRICS and rule.field is None:
        raise _refuse(rule, f"asks for {rule.metric}, which is of one field", "put it under that field")
    if rule.metric and rule.metric not in (*FIELD_METRICS, *FIELD_FIGURES) and rule.field is not None:
        raise _refuse(rule, f"asks for {rule.metric}, which is of the whole dataset", "put it under the schema")
    if rule.unit == "percent" and rule.metric not in FIELD_METRICS:
        raise _refuse(rule, f"has the unit percent for {rule.metric or rule.kind}", "leave the unit out")
    if rule.metric == "freshnessSeconds" and not contract.version_unit.is_time:
        unit = contract.version_unit.value
        raise _refuse(rule, f"asks for an age, and the version is a {unit}, which is no time", "remove the rule")


def _allowed(rule: QualityRule) -> Bounds:
    return bounds(rule.expects)


def _check_possible(rule: QualityRule) -> None:
    """A count is never below 0, a share never above 100."""
    found, domain = _allowed(rule), _SHARES if rule.unit == "percent" else _COUNTS
    if found.low > found.high:
        raise _refuse(rule, f"expects {_shown(rule)}, a range that begins behind its end", "exchange the two numbers")
    if not found.inverted and found.within(domain).is_empty:
        top = "" if domain.high == inf else " to 100"
        raise _refuse(rule, f"expects {_shown(rule)}, which no number from 0{top} can be", "correct the bound")


def _check_field(rule: QualityRule, field: Field, contract: Contract) -> None:
    allows_none = _allowed(rule).holds(0)
    if rule.metric in ("nullValues", "missingValues") and field.required and not allows_none:
        raise _refuse(rule, f"expects {_shown(rule)} of a required field, which has none", "drop one of the two")
    if rule.metric == "duplicateValues" and field.name == contract.key.name and not allows_none:
        raise _refuse(rule, f"expects {_shown(rule)} of the key, which is there once", "expect mustBe: 0")


def _check_arguments(rule: QualityRule, field: Field) -> None:
    known = _ARGUMENTS.get(rule.metric or "", ())
    for name, value in rule.arguments.items():
        if name not in known:
            raise _refuse(rule, f"has the argument {name!r}", f"{rule.metric} takes {list(known) or 'none'}")
        _check_argument(rule, field, name, value)
    for low, high in _RANGES:
        if low in rule.arguments and high in rule.arguments and rule.arguments[low] > rule.arguments[high]:
            pair = f"{low} {rule.arguments[low]!r} above {high} {rule.arguments[high]!r}"
            raise _refuse(rule, f"has {pair}: every value would be invalid", "exchange the two")
    for value, why in _broken_valid_values(rule, field):
        raise _refuse(rule, f"allows {value!r}, which {why}", "correct validValues or the other")


def _check_argument(rule: QualityRule, field: Field, name: str, value: Any) -> None:
    of_texts = field.type is str
    if (name in _OF_TEXTS and not of_texts) or (name in _OF_NUMBERS and field.type not in (int, float)):
        raise _refuse(rule, f"has {name} for a field of type {field.type.__name__}", "remove it or change logicalType")
    if name in (*_OF_NUMBERS, "minLength", "maxLength") and type(value) not in (int, float):
        raise _refuse(rule, f"has {name} {value!r}", "it must be a number")
    if name in ("validValues", "missingValues") and not (isinstance(value, list) and value):
        raise _refuse(rule, f"has {name} {value!r}", "it must be a list that is not empty")
    if name == "pattern":
        _check_pattern(rule, value)


def _check_pattern(rule: QualityRule, pattern: Any) -> None:
    try:
        re.compile(pattern)
    except (re.error, TypeError) as error:
        raise _refuse(rule, f"has the pattern {pattern!r}: {error}", "write a regular expression") from None


def _broken_valid_values(rule: QualityRule, field: Field) -> Iterator[tuple[Any, str]]:
    """Allowed values that the field itself or another argument of the rule forbids, and why."""
    pattern = rule.arguments.get("pattern")
    values: list[Any] = rule.arguments.get("validValues", [])
    for value in values:
        if not _is_of(value, field.type):
            yield value, f"is no {field.type.__name__}, as the field is"
        elif pattern is not None and not re.fullmatch(pattern, value):
            yield value, f"its own pattern {pattern!r} forbids"
        elif field.pattern is not None and not re.fullmatch(field.pattern, value, re.ASCII):
            yield value, f"the field's pattern {field.pattern!r} forbids"
        elif field.type in (int, float) and not _range(rule).holds(value):
            yield value, "its own minimum or maximum forbids"


def _is_of(value: object, kind: type) -> bool:
    return type(value) is kind or (kind is float and type(value) is int)


def _range(rule: QualityRule) -> Bounds:
    return Bounds(rule.arguments.get("minimum", -inf), rule.arguments.get("maximum", inf))


def _check_together(one: QualityRule, other: QualityRule) -> None:
    """Two rules about one number."""
    if one.metric is None or _subject(one) != _subject(other):
        return
    first, second = _allowed(one), _allowed(other)
    if not first.inverted and not second.inverted and first.within(second).is_empty:
        raise _refuse(
            one,
            f"expects {_shown(one)} and {other.name!r} expects {_shown(other)} of the same number: no data can be both",
            "drop or correct one of them",
        )


def _subject(rule: QualityRule) -> tuple[Any, ...]:
    return rule.field, rule.metric, rule.unit, dict(rule.arguments)


def _shown(rule: QualityRule) -> str:
    return " ".join(f"{operator} {bound}" for operator, bound in rule.expects.items())
