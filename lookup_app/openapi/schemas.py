"""The shapes of bodies and parameters as JSON Schema: of a contract, and of the types that the code itself uses."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from instrument_cache.contract import Contract, Field
from instrument_cache.contract.field_changes import TYPE_NAMES
from instrument_cache.contract.model import WIRE_VERSION_MAX, WIRE_VERSION_MIN
from lookup_app.batch import BatchRequest
from lookup_app.config import LookupSettings
from lookup_app.fields import VERSION_MEMBER
from lookup_app.problems import ProblemType
from lookup_app.status import DatasetDescription, DatasetStatus

Schema = dict[str, Any]

_EXAMPLES: Final = {
    "cusip": "037833100",
    "figi": "BBG000B9XRY4",
    "isin": "US0378331005",
    "lei": "HWUPKR0MPOU8FGXBT394",
}
VERSION: Final[Schema] = {
    "type": "integer",
    "minimum": WIRE_VERSION_MIN,
    "maximum": WIRE_VERSION_MAX,
    "description": "The version, 16 digits.",
}


def ref(name: str) -> Schema:
    """A reference to a component."""
    return {"$ref": f"#/components/schemas/{name}"}


def title(dataset: str) -> str:
    """`fx-rates` → `FxRates`."""
    return "".join(part.capitalize() for part in dataset.replace("_", "-").split("-"))


def identifier(field: Field) -> Schema:
    """What a caller may send for a field: an id with a check digit in any case and with spaces, another as it is."""
    if field.identifier == "pattern":
        return {"type": "string", "pattern": f"^(?:{field.pattern})$", "description": field.description}
    found = {"type": "string", "minLength": 1, "format": field.identifier, "description": field.description}
    return {**found, "examples": [_EXAMPLES[field.identifier]]} if field.identifier in _EXAMPLES else found


def field_names(contract: Contract) -> list[str]:
    """What may be selected."""
    return [VERSION_MEMBER, *(field.name for field in contract.fields)]


def record(contract: Contract) -> Schema:
    """An answer: the version, then the contract's fields, of which a selection may leave some out."""
    members = {field.name: _member(contract, field) for field in contract.fields}
    return {
        "type": "object",
        "description": contract.purpose,
        "properties": {VERSION_MEMBER: VERSION, **members},
        "required": [VERSION_MEMBER],
        "additionalProperties": False,
    }


def batch_request(contract: Contract, settings: LookupSettings) -> Schema:
    """The code's own type, narrowed to what this contract and these settings take."""
    schema: Schema = copy.deepcopy(msgspec.json.schema_components([BatchRequest])[1]["BatchRequest"])
    schema["description"] = "What a batch asks for."
    members = schema["properties"]
    members["ids"] |= {"minItems": 1, "maxItems": settings.batch_ids_max}
    members["by"] = {"enum": [*_alias_names(contract), None], "default": None, "description": "null: by the key."}
    names = {"type": "array", "minItems": 1, "items": {"enum": field_names(contract)}}
    members["fields"] = {"anyOf": [names, {"type": "null"}], "default": None, "description": "null: all fields."}
    return schema


def batch_result(contract: Contract) -> Schema:
    """One id's result."""
    found = {"status": {"const": 200}, "instrument": ref(title(contract.dataset))}
    failed = {"status": {"enum": [400, 404, 503]}, "problem": ref("Problem")}
    return {
        "type": "object",
        "properties": {"id": {"type": "string", "description": "As it was sent."}, "status": {}},
        "oneOf": [
            {**found, "required": ["id", "status", "instrument"]},
            {**failed, "required": ["id", "status", "problem"]},
        ],
    }


def problem() -> Schema:
    """RFC 9457, with the members of our own that some types have."""
    uris = {"enum": [kind.uri for kind in ProblemType]}
    return {
        "type": "object",
        "description": "An error (RFC 9457). Further members depend on the type.",
        "properties": {
            "type": uris,
            "title": {"type": "string"},
            "status": {"type": "integer", "minimum": 400, "maximum": 599},
            "detail": {"type": "string"},
            "instance": {"type": "string", "description": "The path of the request; absent inside a batch."},
        },
        "required": ["type", "title", "status", "detail"],
    }


def own_types() -> dict[str, Schema]:
    """The components of the answers that are types of the code."""
    _, components = msgspec.json.schema_components(
        [DatasetDescription, DatasetStatus], ref_template="#/components/schemas/{name}"
    )
    for schema in components.values():
        if "description" in schema:
            schema["description"] = " ".join(schema["description"].split())
    return dict(components)


def of_kinds(kinds: Sequence[ProblemType]) -> Schema:
    """A problem of one of these types."""
    return {"allOf": [ref("Problem"), {"properties": {"type": {"enum": [kind.uri for kind in kinds]}}}]}


def _member(contract: Contract, field: Field) -> Schema:
    kind = TYPE_NAMES[field.type]
    is_key = field.name == contract.key.name
    return {"type": kind if is_key else [kind, "null"], "description": field.description}


def _alias_names(contract: Contract) -> list[str]:
    return [alias.field.name for alias in contract.aliases]
