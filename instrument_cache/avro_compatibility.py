"""Can one Avro schema read what another wrote? Avro's rules of resolution, with the place of each answer "no"."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from instrument_cache.avro_schema import Schema

_PROMOTIONS: Final = {
    "int": ("int", "long", "float", "double"),
    "long": ("long", "float", "double"),
    "float": ("float", "double"),
    "string": ("string", "bytes"),
    "bytes": ("bytes", "string"),
}


class Mismatch(NamedTuple):
    """A place (`record.cusip`) where reading fails, and why."""

    path: str
    reason: str


def mismatches(reader: Any, writer: Any, path: str = "") -> list[Mismatch]:
    """Why a reader of one schema could fail on a record of the other. Empty: it takes every record.

    Both schemas stand by themselves: a type that is used twice is written out twice. Names of records do not count.
    """
    if isinstance(writer, list):
        return [wrong for branch in writer for wrong in mismatches(reader, branch, path)]
    if isinstance(reader, list):
        tries = [mismatches(branch, writer, path) for branch in reader]
        return [] if any(not wrong for wrong in tries) else [_types(reader, writer, path)]
    kind, written = _kind(reader), _kind(writer)
    if kind == written == "record":
        return _records(reader, writer, path)
    if kind == written and kind in ("array", "map"):
        part = "items" if kind == "array" else "values"
        return mismatches(reader[part], writer[part], f"{path}[]")
    if kind == written == "enum":
        unknown = [symbol for symbol in writer["symbols"] if symbol not in reader["symbols"]]
        return [Mismatch(path, f"the symbols {unknown} are not known")] if unknown and "default" not in reader else []
    return [] if kind in _PROMOTIONS.get(written, (written,)) else [_types(reader, writer, path)]


def _records(reader: Schema, writer: Schema, path: str) -> list[Mismatch]:
    written = {field["name"]: field["type"] for field in writer["fields"]}
    found = []
    for field in reader["fields"]:
        place = f"{path}.{field['name']}".lstrip(".")
        if field["name"] in written:
            found += mismatches(field["type"], written[field["name"]], place)
        elif "default" not in field:
            found.append(Mismatch(place, "it is not written, and the reader has no default for it"))
    return found


def _kind(schema: Any) -> str:
    kind = schema["type"] if isinstance(schema, dict) else schema
    return str(kind) if not isinstance(kind, dict) else _kind(kind)


def _types(reader: Any, writer: Any, path: str) -> Mismatch:
    return Mismatch(path, f"{_shown(writer)} is written and {_shown(reader)} is read")


def _shown(schema: Any) -> str:
    return " or ".join(map(_kind, schema)) if isinstance(schema, list) else _kind(schema)
