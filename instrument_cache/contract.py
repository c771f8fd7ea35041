"""A dataset's contract (Open Data Contract Standard): which fields are kept, what identifies and orders a record."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from instrument_cache.errors import ContractError

PYTHON_TYPES: Final[dict[str, type]] = {"string": str, "integer": int, "number": float, "boolean": bool}
IDENTIFIERS: Final = ("cusip", "pattern")


@dataclass(frozen=True, slots=True)
class Field:
    """One kept field of a record. `identifier` names the check it must pass: `cusip`, `pattern` or none."""

    name: str
    type: type
    identifier: str | None = None
    pattern: str | None = None


@dataclass(frozen=True, slots=True)
class Alias:
    """A second name of a record: `{prefix}:{value of field}` leads to the record's key."""

    prefix: str
    field: Field


@dataclass(frozen=True, slots=True)
class Contract:
    """What the product knows about one dataset. Made by `load_contract`; times in seconds, sizes in bytes."""

    dataset: str
    version: str
    fields: tuple[Field, ...]
    key: Field
    aliases: tuple[Alias, ...]
    version_field: Field
    key_prefix: str
    ttl_s: int | None
    tombstone_ttl_s: int
    record_bytes_max: int
    version_ahead_s_max: int

    def redis_key(self, identifier: str) -> str:
        """`instr:{CUSIP}`."""
        return f"{self.key_prefix}:{identifier}"


def load_contract(path: Path) -> Contract:
    """Read a contract file.

    Raises ContractError, which names the file and the entry, if it is missing, malformed or contradicts itself.
    """
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
        return _parse(document)
    except FileNotFoundError:
        raise ContractError(f"contract {path} does not exist; ICACHE_CONTRACTS names the folder") from None
    except yaml.YAMLError as error:
        raise ContractError(f"contract {path} is not YAML: {error}") from error
    except KeyError as error:
        raise ContractError(f"contract {path} lacks {error}; contracts/instruments.yaml shows where") from error
    except ContractError as error:
        raise ContractError(f"contract {path}: {error}") from error


def _parse(document: Any) -> Contract:
    if not isinstance(document, dict):
        raise ContractError("the file must hold a mapping (apiVersion, kind, schema, …)")
    schemas = document["schema"]
    if len(schemas) != 1:
        raise ContractError(f"schema has {len(schemas)} entries; one dataset is one file with one entry")
    properties = schemas[0]["properties"]
    fields = {entry["name"]: _field(entry) for entry in properties}
    custom = _custom(document)
    return Contract(
        dataset=str(document["id"]),
        version=str(document["version"]),
        fields=tuple(fields.values()),
        key=_only(fields, [e["name"] for e in properties if e.get("primaryKey")], "primaryKey: true"),
        aliases=tuple(Alias(_custom(e)["alias"], fields[e["name"]]) for e in properties if "alias" in _custom(e)),
        version_field=_only(fields, [e["name"] for e in properties if "version" in _custom(e)], "the property version"),
        key_prefix=custom["keyPrefix"],
        ttl_s=custom["ttlSeconds"],
        tombstone_ttl_s=_positive(custom, "tombstoneTtlSeconds"),
        record_bytes_max=_positive(custom, "recordBytesMax"),
        version_ahead_s_max=_positive(custom, "versionAheadSecondsMax"),
    )


def _field(entry: dict[str, Any]) -> Field:
    name, kind = entry["name"], entry["logicalType"]
    if kind not in PYTHON_TYPES:
        raise ContractError(f"field {name!r} has logicalType {kind!r}; it must be one of {sorted(PYTHON_TYPES)}")
    identifier = _custom(entry).get("identifier")
    pattern = entry.get("logicalTypeOptions", {}).get("pattern")
    if identifier is not None and identifier not in IDENTIFIERS:
        raise ContractError(f"field {name!r} has identifier {identifier!r}; it must be one of {list(IDENTIFIERS)}")
    if identifier == "pattern":
        _check_pattern(name, pattern)
    return Field(name, PYTHON_TYPES[kind], identifier, pattern)


def _check_pattern(name: str, pattern: str | None) -> None:
    if pattern is None:
        raise ContractError(f"field {name!r} is an identifier by pattern but has no logicalTypeOptions.pattern")
    try:
        re.compile(pattern)
    except re.error as error:
        raise ContractError(f"field {name!r}: pattern {pattern!r} is no regular expression: {error}") from None


def _custom(entry: dict[str, Any]) -> dict[str, Any]:
    return {item["property"]: item["value"] for item in entry.get("customProperties", ())}


def _only(fields: dict[str, Field], names: list[str], what: str) -> Field:
    if len(names) != 1:
        raise ContractError(f"exactly one field must have {what}; these have it: {names}")
    return fields[names[0]]


def _positive(custom: dict[str, Any], name: str) -> int:
    value = custom[name]
    if not isinstance(value, int) or value <= 0:
        raise ContractError(f"{name} is {value!r}; it must be a whole number above 0")
    return value
