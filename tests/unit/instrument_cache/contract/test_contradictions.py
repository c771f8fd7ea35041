"""A quality rule that cannot hold, or contradicts its field or another rule, is refused at load, with the way out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from instrument_cache.contract import Contract
from instrument_cache.contract.bounds import Bounds, bounds
from instrument_cache.errors import ContractError
from tests.unit.instrument_cache.contract.conftest import Edit, field

Load = Callable[[Edit], Contract]


def on(name: str, *rules: dict[str, Any]) -> Edit:
    """Rules of a field in the place of its own."""
    return lambda c: field(c, name).update(quality=[{"severity": "error", **rule} for rule in rules])


def of_dataset(*rules: dict[str, Any]) -> Edit:
    return lambda c: c["schema"][0].update(quality=[{"severity": "error", **rule} for rule in rules])


def figure(name: str, **more: Any) -> dict[str, Any]:
    return {"type": "custom", "engine": "instrument-cache", "implementation": name, **more}


NULLS, INVALID = {"metric": "nullValues"}, {"metric": "invalidValues", "mustBe": 0}
REFUSED: dict[str, tuple[Edit, tuple[str, ...]]] = {
    "a share above 100": (
        on("name", {**NULLS, "unit": "percent", "mustBeGreaterThan": 100}),
        ("'name'", "name_nullValues", "mustBeGreaterThan 100", "correct the bound"),
    ),
    "a count below 0": (on("name", {**NULLS, "mustBeLessThan": 0}), ("'name'", "no number from 0", "correct")),
    "a range that is turned round": (
        on("name", {**NULLS, "mustBeBetween": [9, 3]}),
        ("'name'", "[9, 3]", "begins behind its end", "exchange"),
    ),
    "two rules that exclude each other": (
        on(
            "name",
            {**NULLS, "name": "few", "mustBeLessThan": 5},
            {**NULLS, "name": "many", "mustBeGreaterThan": 5},
        ),
        ("'name'", "'few'", "'many'", "no data can be both", "drop or correct"),
    ),
    "nulls of a required field": (
        on("lei", {**NULLS, "mustBeGreaterThan": 0}),
        ("'lei'", "lei_nullValues", "required", "drop"),
    ),
    "a key that is there twice": (
        on("lei", {"metric": "duplicateValues", "mustBe": 2}),
        ("'lei'", "lei_duplicateValues", "mustBe: 0"),
    ),
    "allowed values that the pattern forbids": (
        on("country", {**INVALID, "arguments": {"pattern": "[A-Z]{2}", "validValues": ["DE", "usa"]}}),
        ("'country'", "country_invalidValues", "'usa'", "pattern", "correct"),
    ),
    "allowed values of another type": (
        on("last_updated", {**INVALID, "arguments": {"validValues": ["1"]}}),
        ("'last_updated'", "'1'", "int"),
    ),
    "allowed values that the field's pattern forbids": (
        on("ticker", {**INVALID, "arguments": {"validValues": ["lower case"]}}),
        ("'ticker'", "'lower case'", "field's pattern"),
    ),
    "allowed values outside the range": (
        on("last_updated", {**INVALID, "arguments": {"validValues": [5], "minimum": 6}}),
        ("'last_updated'", "5", "minimum"),
    ),
    "a minimum above the maximum": (
        on("last_updated", {**INVALID, "arguments": {"minimum": 9, "maximum": 1}}),
        ("'last_updated'", "minimum 9 above maximum 1", "exchange"),
    ),
    "a minimum of a text": (on("name", {**INVALID, "arguments": {"minimum": 1}}), ("'name'", "minimum", "str")),
    "a length that is no number": (
        on("name", {**INVALID, "arguments": {"minLength": "x"}}),
        ("minLength 'x'", "number"),
    ),
    "no allowed value": (on("name", {**INVALID, "arguments": {"validValues": []}}), ("'name'", "validValues []")),
    "a pattern that is none": (on("name", {**INVALID, "arguments": {"pattern": "("}}), ("'name'", "'('", "regular")),
    "an argument that nobody reads": (on("name", {**INVALID, "arguments": {"patern": "x"}}), ("'patern'", "pattern")),
    "a field's metric of the dataset": (of_dataset({**NULLS, "mustBe": 0}), ("dataset", "nullValues", "that field")),
    "the dataset's metric of a field": (
        on("name", {"metric": "rowCount", "mustBe": 3}),
        ("'name'", "rowCount", "under the schema"),
    ),
    "percent of no share": (of_dataset({"metric": "rowCount", "unit": "percent", "mustBe": 3}), ("percent", "leave")),
    "another engine": (of_dataset({**figure("nullDrift", mustBe=0), "engine": "soda"}), ("soda", "instrument-cache")),
    "a figure that is not known": (of_dataset(figure("mood", mustBe=0)), ("mood", "nullDrift")),
}


@pytest.mark.parametrize(("edit", "says"), REFUSED.values(), ids=REFUSED.keys())
def test_a_contradiction_is_refused_with_field_rule_and_way_out(load: Load, edit: Edit, says: tuple[str, ...]) -> None:
    with pytest.raises(ContractError) as refused:
        load(edit)
    for part in says:
        assert part in str(refused.value)


def test_an_age_takes_a_version_that_is_a_time(load: Load) -> None:
    def positions(c: dict[str, Any]) -> None:
        of_dataset(figure("freshnessSeconds", mustBeLessThan=5))(c)
        field(c, "last_updated")["customProperties"] = [{"property": "version", "value": "log position"}]

    with pytest.raises(ContractError, match="which is no time"):
        load(positions)


def test_what_is_no_contradiction_is_taken(load: Load) -> None:
    rules = [
        {**NULLS, "name": "a", "unit": "percent", "mustBeLessThan": 5},
        {**NULLS, "name": "b", "mustBeGreaterThan": 5},
        {**NULLS, "name": "c", "mustBeBetween": [6, 9]},
        {**NULLS, "name": "d", "mustNotBe": 7, "severity": "critical"},
        {**INVALID, "name": "e", "arguments": {"minLength": 1, "maxLength": 9, "validValues": ["x"]}},
    ]
    assert len([rule for rule in load(on("status", *rules)).quality if rule.field == "status"]) == 5


@pytest.mark.parametrize(
    ("expects", "holds", "breaks"),
    [
        ({"mustBe": 0}, (0,), (1, -1)),
        ({"mustNotBe": 0}, (1, -1), (0,)),
        ({"mustBeGreaterThan": 1}, (1.1,), (1, 0)),
        ({"mustBeGreaterOrEqualTo": 1}, (1,), (0.9,)),
        ({"mustBeLessThan": 1}, (0.9,), (1,)),
        ({"mustBeLessOrEqualTo": 1}, (1,), (1.1,)),
        ({"mustBeBetween": [1, 2]}, (1, 2), (0.9, 2.1)),
        ({"mustNotBeBetween": [1, 2]}, (0.9, 2.1), (1, 2)),
        ({}, (0, 1e9), ()),
    ],
)
def test_each_operator(expects: dict[str, Any], holds: tuple[float, ...], breaks: tuple[float, ...]) -> None:
    found = bounds(expects)
    assert all(found.holds(value) for value in holds)
    assert not any(found.holds(value) for value in breaks)


def test_what_two_allow() -> None:
    assert bounds({"mustBeLessThan": 5}).within(bounds({"mustBeGreaterOrEqualTo": 5})).is_empty
    assert not bounds({"mustBeLessOrEqualTo": 5}).within(bounds({"mustBeGreaterOrEqualTo": 5})).is_empty
    assert Bounds(inverted=True).is_empty
