"""Quality rules of a contract (`quality` of the schema and of its properties) → data with a severity."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from instrument_cache.contract.bounds import OPERATORS, PAIRS
from instrument_cache.contract.entries import check_names, optional
from instrument_cache.contract.model import QualityRule
from instrument_cache.errors import ContractError

# What a broken rule does: it stops the stream, makes `data_quality` red, warns, or is only told.
SEVERITIES: Final = ("critical", "error", "warning", "info")
FIELD_METRICS: Final = ("nullValues", "missingValues", "invalidValues", "duplicateValues")
METRICS: Final = (*FIELD_METRICS, "rowCount")
# The standard's library has none for these: rules of the type `custom` for the product's own engine.
ENGINE: Final = "instrument-cache"
DATASET_FIGURES: Final = ("freshnessSeconds", "rowCountDrift", "unreadableRecords", "misplacedRecords")
FIELD_FIGURES: Final = ("nullDrift", "distributionDrift")
UNITS: Final = ("rows", "percent")
_KINDS: Final = {"library": "metric", "sql": "query", "text": "description", "custom": "implementation"}
_MEMBERS: Final = frozenset(
    (
        *OPERATORS,
        *("id", "name", "type", "metric", "query", "unit", "arguments", "severity", "description", "dimension"),
        *("engine", "implementation"),
    )
)


def quality_rules(schema: Mapping[str, Any], properties: list[dict[str, Any]]) -> tuple[QualityRule, ...]:
    """The rules of the dataset, then those of each field. Raises ContractError, which names the rule's place."""
    rules = [*_rules_of(schema, None), *(rule for entry in properties for rule in _rules_of(entry, entry["name"]))]
    for at, rule in enumerate(rules):
        if any(rule.name == other.name for other in rules[:at]):
            raise ContractError(f"two quality rules have the name {rule.name!r}; give one another name")
    return tuple(rules)


def _rules_of(entry: Mapping[str, Any], field: str | None) -> Iterator[QualityRule]:
    place = f"field {field!r}" if field else "the schema"
    for number, item in enumerate(optional(entry, "quality", list, place) or (), start=1):
        where = f"quality rule {number} of {place}"
        if not isinstance(item, dict):
            raise ContractError(f"{where} is {item!r}; it must be a mapping with a metric, a query or a text")
        yield _rule(item, field, where)


def _rule(item: dict[str, Any], field: str | None, where: str) -> QualityRule:
    check_names(item, _MEMBERS, where)
    kind = _one_of(item, "type", tuple(_KINDS), where, "library" if "metric" in item else "text")
    if not item.get(_KINDS[kind]):
        raise ContractError(f"{where} is of type {kind!r} and lacks {_KINDS[kind]!r}, which is what it asks")
    metric = _metric(item, kind, where)
    return QualityRule(
        name=str(item.get("name") or _name(field, metric or kind)),
        field=field,
        kind=kind,
        severity=_one_of(item, "severity", SEVERITIES, where),
        metric=metric,
        query=item.get("query"),
        expects={} if kind == "text" else _expects(item, where),
        unit=_one_of(item, "unit", UNITS, where, "rows"),
        arguments=optional(item, "arguments", dict, where) or {},
        description=str(item.get("description", "")),
    )


def _metric(item: Mapping[str, Any], kind: str, where: str) -> str | None:
    if kind == "custom":
        _one_of(item, "engine", (ENGINE,), where)
        return _one_of(item, "implementation", (*DATASET_FIGURES, *FIELD_FIGURES), where)
    return _one_of(item, "metric", METRICS, where) if kind == "library" else None


def _name(field: str | None, what: str) -> str:
    return f"{field}_{what}" if field else what


def _one_of(
    item: Mapping[str, Any], name: str, allowed: tuple[str, ...], where: str, default: str | None = None
) -> str:
    value = item.get(name, default)
    if value not in allowed:
        raise ContractError(f"{where} has {name} {value!r}; it must be one of {list(allowed)}")
    return str(value)


def _expects(item: Mapping[str, Any], where: str) -> dict[str, Any]:
    expects = {name: item[name] for name in OPERATORS if name in item}
    if len(expects) != 1:
        raise ContractError(f"{where} must have exactly one of {list(OPERATORS)}; it has {list(expects)}")
    (name, bound), *_ = expects.items()
    numbers = bound if name in PAIRS else [bound]
    is_pair = isinstance(bound, list) and len(bound) == 2
    if (name in PAIRS) != is_pair or not all(type(number) in (int, float) for number in numbers):
        what = "two numbers, [low, high]" if name in PAIRS else "a number"
        raise ContractError(f"{where} has {name} {bound!r}; it must be {what}")
    return expects
