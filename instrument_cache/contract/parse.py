"""The document of a contract (Open Data Contract Standard 3) → Contract. What it says is judged in `rules`."""

from __future__ import annotations

from typing import Any, Final

from instrument_cache.contract import entries, names
from instrument_cache.contract.entries import required
from instrument_cache.contract.model import Alias, Contract, Field, VersionUnit
from instrument_cache.contract.quality import quality_rules
from instrument_cache.errors import ContractError

PYTHON_TYPES: Final[dict[str, type]] = {"string": str, "integer": int, "number": float, "boolean": bool}
IDENTIFIERS: Final = ("cusip", "figi", "isin", "lei", "pattern")


def parse(document: Any) -> Contract:
    """Raises ContractError, which names the entry."""
    if not isinstance(document, dict):
        raise ContractError("the file must hold a mapping (apiVersion, kind, schema, …)")
    entries.check_names(document, names.DOCUMENT, "the contract")
    _check_kind(document)
    schema = _only_schema(document)
    custom = entries.custom(document, names.OF_DATASET, "the contract")
    properties = required(schema, "properties", list, "the schema")
    fields = {field.name: field for field in map(_field, properties)}
    if len(fields) != len(properties):
        raise ContractError("two properties have the same name; each field is described once")
    version_field, unit = _version(properties, fields)
    return Contract(
        dataset=required(document, "id", str, "the contract"),
        version=required(document, "version", str, "the contract"),
        fields=tuple(field for field in fields.values() if field.kept),
        input_fields=tuple(fields.values()),
        key=_key(properties, fields),
        aliases=_aliases(properties, fields),
        version_field=version_field,
        version_unit=unit,
        key_prefix=required(custom, "keyPrefix", str, "customProperties"),
        ttl_s=_ttl(custom),
        tombstone_ttl_s=entries.positive(custom, "tombstoneTtlSeconds"),
        replay_s_max=entries.positive(custom, "replaySecondsMax"),
        record_bytes_max=entries.positive(custom, "recordBytesMax"),
        version_ahead_s_max=entries.positive(custom, "versionAheadSecondsMax"),
        http_max_age_s=_http_max_age(custom),
        quality=quality_rules(schema, properties),
        purpose=str((entries.optional(document, "description", dict, "the contract") or {}).get("purpose", "")),
        notes=entries.notes(document),
    )


def _check_kind(document: dict[str, Any]) -> None:
    version = required(document, "apiVersion", str, "the contract")
    if document.get("kind") != "DataContract" or not version.startswith("v3."):
        raise ContractError(
            f"kind is {document.get('kind')!r} and apiVersion {version!r}; it must be a DataContract of the Open Data "
            "Contract Standard 3 (v3.…)"
        )


def _only_schema(document: dict[str, Any]) -> dict[str, Any]:
    schemas = required(document, "schema", list, "the contract")
    if len(schemas) != 1 or not isinstance(schemas[0], dict):
        raise ContractError(f"schema has {len(schemas)} entries; one dataset is one file with one entry")
    entries.check_names(schemas[0], names.SCHEMA, "the schema")
    return dict(schemas[0])


def _field(entry: Any) -> Field:
    if not isinstance(entry, dict):
        raise ContractError(f"the property {entry!r} is no mapping; write name and logicalType")
    name = required(entry, "name", str, "a property")
    where = f"field {name!r}"
    entries.check_names(entry, names.PROPERTY, where)
    kind = required(entry, "logicalType", str, where)
    if kind not in PYTHON_TYPES:
        raise ContractError(f"{where} has logicalType {kind!r}; it must be one of {sorted(PYTHON_TYPES)}")
    custom = entries.custom(entry, names.OF_FIELD, where)
    return Field(
        name=name,
        type=PYTHON_TYPES[kind],
        identifier=_identifier(custom, where),
        pattern=_pattern(entry, custom, where),
        required=entries.flag(entry, "required", False, where),
        kept=entries.flag(custom, "kept", True, where),
        description=str(entry.get("description", "")),
    )


def _identifier(custom: dict[str, Any], where: str) -> str | None:
    identifier: str | None = custom.get("identifier")
    if identifier is not None and identifier not in IDENTIFIERS:
        raise ContractError(f"{where} has identifier {identifier!r}; it must be one of {list(IDENTIFIERS)}")
    return identifier


def _pattern(entry: dict[str, Any], custom: dict[str, Any], where: str) -> str | None:
    options = entries.optional(entry, "logicalTypeOptions", dict, where) or {}
    unknown = sorted(options.keys() - {"pattern"})
    if unknown:
        raise ContractError(f"{where} has logicalTypeOptions {unknown}, which nothing enforces; say it under quality")
    if ("pattern" in options) != (custom.get("identifier") == "pattern"):
        raise ContractError(
            f"{where}: logicalTypeOptions.pattern and the property identifier: pattern belong together; "
            "without both the pattern would not be enforced"
        )
    return options.get("pattern")


def _key(properties: list[dict[str, Any]], fields: dict[str, Field]) -> Field:
    return fields[_only([entry["name"] for entry in properties if _is_key(entry)], "primaryKey: true")]


def _is_key(entry: dict[str, Any]) -> bool:
    return entries.flag(entry, "primaryKey", False, f"field {entry['name']!r}")


def _aliases(properties: list[dict[str, Any]], fields: dict[str, Field]) -> tuple[Alias, ...]:
    found = ((fields[entry["name"]], entries.custom(entry).get("alias")) for entry in properties)
    return tuple(Alias(str(prefix), field) for field, prefix in found if prefix is not None)


def _version(properties: list[dict[str, Any]], fields: dict[str, Field]) -> tuple[Field, VersionUnit]:
    units = {
        entry["name"]: entries.custom(entry)["version"] for entry in properties if "version" in entries.custom(entry)
    }
    name = _only(list(units), "the property version")
    try:
        return fields[name], VersionUnit(units[name])
    except ValueError:
        raise ContractError(
            f"field {name!r} has version {units[name]!r}; it must be one of {[unit.value for unit in VersionUnit]}"
        ) from None


def _only(found: list[str], what: str) -> str:
    if len(found) != 1:
        raise ContractError(f"exactly one field must have {what}; these have it: {found}")
    return found[0]


def _ttl(custom: dict[str, Any]) -> int | None:
    if "ttlSeconds" not in custom:
        raise ContractError("customProperties lack ttlSeconds; null says that a record lives until it is deleted")
    return None if custom["ttlSeconds"] is None else entries.positive(custom, "ttlSeconds")


def _http_max_age(custom: dict[str, Any]) -> int:
    return entries.positive(custom, "httpMaxAgeSeconds") if custom.get("httpMaxAgeSeconds") else 0
