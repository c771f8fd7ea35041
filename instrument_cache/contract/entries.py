"""Reading entries of a contract's document, with errors that name the entry, its value and what it must be."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, TypeVar

from instrument_cache.errors import ContractError

_T = TypeVar("_T")


def check_names(entry: Mapping[str, Any], known: frozenset[str], where: str) -> None:
    """Refuse a name that nobody would read."""
    for name in entry:
        if name not in known:
            near = get_close_matches(str(name), known, 1)
            way = f"did you mean {near[0]!r}?" if near else f"known are {sorted(known)}"
            raise ContractError(f"{where} has an entry {name!r} that is not known; {way}")


def required(entry: Mapping[str, Any], name: str, kind: type[_T], where: str) -> _T:
    """The entry, of the kind that it must have."""
    if name not in entry:
        raise ContractError(f"{where} lacks {name!r}; contracts/instruments.yaml shows where it stands")
    value = entry[name]
    if not isinstance(value, kind):
        raise ContractError(f"{name} of {where} is {value!r}; it must be a {kind.__name__} (a text takes quotes)")
    return value


def optional(entry: Mapping[str, Any], name: str, kind: type[_T], where: str) -> _T | None:
    """The entry, of the kind that it must have, or None where there is none."""
    return None if entry.get(name) is None else required(entry, name, kind, where)


def custom(entry: Mapping[str, Any], known: frozenset[str] | None = None, where: str = "") -> dict[str, Any]:
    """The customProperties of a contract or a field: property → value."""
    found: dict[str, Any] = {}
    for item in optional(entry, "customProperties", list, where) or ():
        if not isinstance(item, dict) or "value" not in item or not isinstance(item.get("property"), str):
            raise ContractError(f"{where} has the custom property {item!r}; it must have property (a text) and value")
        if item["property"] in found:
            raise ContractError(f"{where} has the custom property {item['property']!r} twice; keep one")
        found[item["property"]] = item["value"]
    if known is not None:
        check_names(found, known, where)
    return found


def notes(document: Mapping[str, Any]) -> dict[str, str]:
    """What the custom properties of a contract say about themselves: property → description."""
    items = document.get("customProperties") or ()
    return {item["property"]: str(item["description"]) for item in items if "description" in item}


def positive(entry: Mapping[str, Any], name: str) -> int:
    """A whole number above 0."""
    value = required(entry, name, object, "customProperties")
    if type(value) is not int or value <= 0:
        raise ContractError(f"{name} is {value!r}; it must be a whole number above 0")
    return value


def flag(entry: Mapping[str, Any], name: str, default: bool, where: str) -> bool:
    """True or false."""
    value = entry.get(name, default)
    if not isinstance(value, bool):
        raise ContractError(f"{name} of {where} is {value!r}; it must be true or false")
    return value
