"""Avro schemas: that of a contract's change records, and those of producers, checked before one is used."""

from __future__ import annotations

import json
from typing import Any, Final

from fastavro import parse_schema
from fastavro.schema import SchemaParseException, UnknownType

from instrument_cache.contract import Contract
from instrument_cache.contract.model import Field
from instrument_cache.errors import SchemaUnusable

Schema = dict[str, Any]

AVRO_TYPES: Final[dict[type, str]] = {str: "string", int: "long", float: "double", bool: "boolean"}
_PRIMITIVES: Final = frozenset(("null", "boolean", "int", "long", "float", "double", "bytes", "string"))
_TEXT_CHARACTERS_MAX: Final = 1_000_000
# One record may cost as many reads as its schema has nodes, whatever the record's own length.
_NODES_MAX: Final = 1_000
_DEPTH_MAX: Final = 32


def subject(contract: Contract) -> str:
    """Under which name a registry keeps the schema: that of the topic's values."""
    return f"{contract.dataset}-value"


def envelope_schema(contract: Contract) -> Schema:
    """The Avro schema of a change record: op, version, source, and the record with the contract's fields, all nullable.

    Every field has a default except op, version and record: without these there is no change.
    """
    numbers = [{"name": name, "type": "long", "default": 0} for name in ("position", "timestamp", "received_at")]
    source = {
        "type": "record",
        "name": "Source",
        "fields": [{"name": "name", "type": "string", "default": ""}, *numbers],
    }
    record = {"type": "record", "name": "Record", "fields": [_field(field) for field in contract.fields]}
    return {
        "type": "record",
        "name": "Change",
        "namespace": f"instrument_cache.{contract.dataset.replace('-', '_')}",
        "fields": [
            {"name": "op", "type": "string"},
            {"name": "version", "type": "long"},
            {
                "name": "source",
                "type": source,
                "default": {"name": "", "position": 0, "timestamp": 0, "received_at": 0},
            },
            {"name": "record", "type": record},
        ],
    }


def _field(field: Field) -> Schema:
    avro: Schema = {"name": field.name, "type": ["null", AVRO_TYPES[field.type]], "default": None}
    return {**avro, "doc": field.description} if field.description else avro


def writer_schema(text: str) -> Schema:
    """A registered schema, ready to read records with. Raises SchemaUnusable, which says why it is not.

    It is not trusted: a schema that refers to itself, or whose arrays hold items of no bytes, lets a short record run a
    reader out of stack or keep it busy for ever.
    """
    if len(text) > _TEXT_CHARACTERS_MAX:
        raise SchemaUnusable(f"its text has {len(text)} characters; at most {_TEXT_CHARACTERS_MAX} are read")
    try:
        document = json.loads(text)
        schema = parse_schema(document)
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError) as error:
        raise SchemaUnusable(f"it is no Avro schema: {_short(error)}") from None
    except (SchemaParseException, UnknownType) as error:
        raise SchemaUnusable(f"it is no Avro schema: {_short(error)}") from None
    plain = _Check().plain(schema)
    if not isinstance(plain, dict) or plain.get("type") != "record":
        raise SchemaUnusable("it is no record; the schema of a change has op, version, source and record")
    return dict(parse_schema(plain))  # type: ignore[arg-type]


def reader_schema(reader: Schema, writer: Schema) -> Schema:
    """The contract's schema, made to meet one writer's: with its names, and with its enum in place of a text.

    Avro resolves records of equal names only, but whatever a producer calls them, it is the fields that count.
    Raises SchemaUnusable if a field that a change cannot do without is not there.
    """
    written = {field["name"]: field["type"] for field in writer["fields"]}
    missing = [field["name"] for field in reader["fields"] if "default" not in field and field["name"] not in written]
    if missing:
        raise SchemaUnusable(
            f"its record {writer['name']} lacks {missing}; a change has op, version, source and record"
        )
    fields = [{**field, "type": _meeting(field["type"], written.get(field["name"]))} for field in reader["fields"]]
    return dict(parse_schema({"type": "record", "name": writer["name"], "fields": fields}))  # type: ignore[arg-type]


def _meeting(reader: Any, writer: Any) -> Any:
    branches = writer if isinstance(writer, list) else [writer]
    for branch in branches:
        kind = branch.get("type") if isinstance(branch, dict) else branch
        if kind == "enum" and reader == "string":
            return branch
        if kind == "record" and isinstance(reader, dict):
            return {**reader, "name": branch["name"]}
    return reader


def same_shape(writer: Schema, reader: Schema) -> bool:
    """True if what is written is what the reader wants, field by field: then nothing is left to resolve."""
    return bool(_shape(writer) == _shape(reader))


def _shape(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_shape(branch) for branch in schema]
    if not isinstance(schema, dict):
        return schema
    if schema["type"] == "record":
        return {field["name"]: _shape(field["type"]) for field in schema["fields"]}
    return schema


class _Check:
    """Walks a schema once: takes the logical types off, so that a value is what was written, and sees to the bounds."""

    def __init__(self) -> None:
        self._open: list[str] = []
        self._nodes_of: dict[str, int] = {}
        self._empty: dict[str, bool] = {}

    def plain(self, schema: Any) -> Any:
        plain, nodes, _ = self._walk(schema, 0)
        if nodes > _NODES_MAX:
            raise SchemaUnusable(f"it has {nodes} parts, with each use of a named type counted; at most {_NODES_MAX}")
        return plain

    def _walk(self, schema: Any, depth: int) -> tuple[Any, int, bool]:
        """(the plain schema, its parts, whether a value of it may take no bytes)."""
        if depth > _DEPTH_MAX:
            raise SchemaUnusable(f"it is nested deeper than {_DEPTH_MAX} levels")
        if isinstance(schema, list):
            walked = [self._walk(branch, depth + 1) for branch in schema]
            return [plain for plain, _, _ in walked], 1 + sum(nodes for _, nodes, _ in walked), False
        if isinstance(schema, str):
            return self._reference(schema)
        kind = schema["type"]
        if kind in ("record", "error"):
            return self._record(schema, depth)
        if kind in ("array", "map"):
            return self._repeated(schema, "items" if kind == "array" else "values", depth)
        if kind in ("enum", "fixed"):
            self._nodes_of[schema["name"]], self._empty[schema["name"]] = 1, schema.get("size") == 0
            return {**_without_logic(schema)}, 1, schema.get("size") == 0
        return self._walk(kind, depth + 1)

    def _reference(self, name: str) -> tuple[Any, int, bool]:
        if name in _PRIMITIVES:
            return name, 1, name == "null"
        if name in self._open:
            raise SchemaUnusable(f"its type {name} holds itself; a change is not nested without end")
        return name, self._nodes_of[name], self._empty[name]

    def _record(self, schema: Schema, depth: int) -> tuple[Any, int, bool]:
        name = schema["name"]
        self._open.append(name)
        walked = [self._walk(field["type"], depth + 1) for field in schema["fields"]]
        self._open.pop()
        fields = [{**field, "type": plain} for field, (plain, _, _) in zip(schema["fields"], walked, strict=True)]
        nodes, empty = 1 + sum(nodes for _, nodes, _ in walked), all(empty for _, _, empty in walked)
        self._nodes_of[name], self._empty[name] = nodes, empty
        return {**_without_logic(schema), "type": "record", "fields": fields}, nodes, empty

    def _repeated(self, schema: Schema, items: str, depth: int) -> tuple[Any, int, bool]:
        plain, nodes, empty = self._walk(schema[items], depth + 1)
        if empty and schema["type"] == "array":
            raise SchemaUnusable("it has an array whose items take no bytes; ten bytes could say that there are 10¹⁸")
        return {"type": schema["type"], items: plain}, 1 + nodes, False


def _without_logic(schema: Schema) -> Schema:
    return {name: value for name, value in schema.items() if name != "logicalType" and not name.startswith("__")}


def _short(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
