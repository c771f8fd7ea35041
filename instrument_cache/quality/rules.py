"""The rules of a contract with those that its fields imply: types, formats, check digits, keys that are there once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from instrument_cache.contract import Contract, Field, QualityRule

_NONE: Final = {"mustBe": 0}


def rules_of(contract: Contract) -> tuple[QualityRule, ...]:
    """A rule that the contract states itself takes the place of the implied one, with its bound and its severity."""
    stated = {(rule.field, rule.metric) for rule in contract.quality if not rule.arguments}
    implied = [rule for rule in _implied(contract) if (rule.field, rule.metric) not in stated]
    return (*contract.quality, *implied)


def judged_fields(contract: Contract) -> tuple[Field, ...]:
    """The fields that are looked at: all that are kept, and of the others those that have a rule."""
    ruled = {rule.field for rule in contract.quality}
    return tuple(field for field in contract.input_fields if field.kept or field.name in ruled)


def _implied(contract: Contract) -> Iterator[QualityRule]:
    yield _rule(None, "unreadableRecords", "A record must be bytes that the store or the source writes, and JSON.")
    yield _rule(None, "misplacedRecords", "A record must lie under the key that it names itself.")
    for field in judged_fields(contract):
        yield _rule(field.name, "invalidValues", _form(field))
        if field.required or field == contract.key:
            yield _rule(field.name, "nullValues", "The contract requires it.")
    yield _rule(contract.key.name, "duplicateValues", "A key is there once.")
    for alias in contract.aliases:
        yield _rule(alias.field.name, "duplicateValues", "An alias leads to one record.", "warning")


def _form(field: Field) -> str:
    if field.pattern:
        return f"It must be a text that matches {field.pattern}."
    return (
        f"It must be a {field.identifier.upper()}."
        if field.identifier
        else f"It must be of type {field.type.__name__}."
    )


def _rule(field: str | None, metric: str, description: str, severity: str = "error") -> QualityRule:
    name = f"{field}_{metric}_implied" if field else metric
    return QualityRule(name, field, "implied", severity, metric, expects=_NONE, description=description)
