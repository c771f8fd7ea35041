"""The table of operations: each route of the API with what it takes and what it may answer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from instrument_cache.contract import Contract
from lookup_app.batch import NDJSON
from lookup_app.config import LookupSettings
from lookup_app.epochs import HEADER as EPOCH
from lookup_app.headers import JSON
from lookup_app.openapi import schemas
from lookup_app.openapi.schemas import Schema, ref, title
from lookup_app.problems import ProblemType as P

# A caller may be refused by any route of the datasets, whatever it asks.
GUARD: Final = (P.UNAUTHENTICATED, P.FORBIDDEN, P.RATE_LIMITED, P.KEYS_UNAVAILABLE, P.INTERNAL_ERROR)
_READ: Final = (P.INVALID_IDENTIFIER, P.INVALID_FIELDS, P.INVALID_QUERY, P.BAD_REQUEST, P.UNKNOWN_INSTRUMENT)
_FOUND_NOT: Final = (
    P.DELETED_INSTRUMENT,
    P.UNKNOWN_DATASET,
    P.NO_SUCH_ROUTE,
    P.SOURCE_UNAVAILABLE,
    P.STORE_UNAVAILABLE,
    P.UNREADABLE_ENTRY,
)


@dataclass(frozen=True)
class Success:
    """One answer that is no error: media type → schema, and the headers that it always has, or may have."""

    description: str
    content: dict[str, Schema] = field(default_factory=dict)
    headers: tuple[str, ...] = ("Cache-Control",)
    optional_headers: tuple[str, ...] = ()


@dataclass(frozen=True)
class Operation:
    """One method of one path. `name` is that of the Flask endpoint, and of its prose in texts/operations.md."""

    name: str
    method: str
    path: str
    summary: str
    successes: dict[int, Success]
    problems: tuple[P, ...] = ()
    parameters: tuple[dict[str, Any], ...] = ()
    body: dict[str, Schema] = field(default_factory=dict)
    dataset: str | None = None


def of_dataset(contract: Contract, settings: LookupSettings) -> list[Operation]:
    """The operations on one dataset."""
    name, dataset = title(contract.dataset), contract.dataset
    key = {"name": contract.key.name, "in": "path", "required": True, "schema": schemas.identifier(contract.key)}
    reads = [
        ("by_key", f"/v1/{dataset}/{{{contract.key.name}}}", f"One record by its {contract.key.name}", (key,)),
        ("by_alias", f"/v1/{dataset}", "One record by an alias", _aliases(contract)),
    ]
    found = [
        Operation(
            endpoint, method, path, summary, _instrument(name), (*_READ, *_FOUND_NOT, *GUARD),
            (*parameters, _fields(contract), *_CONDITIONS), dataset=dataset,
        )
        for endpoint, path, summary, parameters in reads
        for method in ("get", "head")
    ]  # fmt: skip
    return [*found, _batch(contract, settings), _status(dataset), _changes(dataset)]


def general() -> list[Operation]:
    """The operations that belong to no dataset."""
    ready = {
        "type": "object",
        "required": ["status"],
        "properties": {"status": {"const": "ready"}, "stale": {"const": True}, "stale_s": {"type": "number"}},
    }
    listed = Success("Every dataset.", {JSON: _object(datasets={"type": "array", "items": ref("DatasetDescription")})})
    alive = Success("The process answers.", {JSON: _object(status={"const": "alive"})})
    is_ready = Success("It is ready.", {JSON: ready})
    text = Success("Prometheus's text format.", {"text/plain": {"type": "string"}}, ())
    return [
        Operation("datasets", "get", "/v1/datasets", "What is served", {200: listed}, GUARD),
        Operation("healthz", "get", "/healthz", "Liveness", {200: alive}),
        Operation("readyz", "get", "/readyz", "Readiness", {200: is_ready}, (P.NOT_READY,)),
        Operation("metrics", "get", "/metrics", "Metrics", {200: text}),
    ]


def _instrument(name: str) -> dict[int, Success]:
    always = ("Cache-Control", "Vary", "ETag", "Instrument-Version")
    stale = ("Warning", "Age", EPOCH)
    return {
        200: Success("The record.", {JSON: ref(name)}, always, ("Last-Modified", *stale)),
        304: Success("The caller has it already.", {}, always, stale),
    }


def _batch(contract: Contract, settings: LookupSettings) -> Operation:
    name = title(contract.dataset)
    lines: Schema = {"type": "array", "items": {"type": "string"}, "description": "One id per line."}
    results = _object(results={"type": "array", "items": ref(f"{name}Result")})
    return Operation(
        "batch", "post", f"/v1/{contract.dataset}:batch", "Many records at once",
        {200: Success(
            "One result per id, in the order of the ids.",
            {JSON: results, NDJSON: {"type": "array", "items": ref(f"{name}Result")}},
            ("Cache-Control", "Vary"), ("Warning", "Age", EPOCH),
        )},
        (P.INVALID_BODY, P.INVALID_BATCH_SIZE, P.INVALID_FIELDS, P.INVALID_QUERY, P.BAD_REQUEST, P.UNKNOWN_DATASET,
         P.BODY_TOO_SLOW, P.BODY_TOO_LARGE, P.UNSUPPORTED_CONTENT_TYPE, P.STORE_UNAVAILABLE, P.BUSY, *GUARD),
        (_by(contract), _fields(contract)) if contract.aliases else (_fields(contract),),
        {JSON: ref(f"{name}Batch"), NDJSON: {**lines, "minItems": 1, "maxItems": settings.batch_ids_max}},
        contract.dataset,
    )  # fmt: skip


def _status(dataset: str) -> Operation:
    success = {200: Success("How the dataset stands.", {JSON: ref("DatasetStatus")})}
    problems = (P.UNKNOWN_DATASET, *GUARD)
    return Operation("status", "get", f"/v1/{dataset}/status", "Freshness", success, problems, dataset=dataset)


def _changes(dataset: str) -> Operation:
    success = {307: Success("The change stream is there.", {}, ("Location", "Cache-Control"))}
    problems = (P.UNKNOWN_DATASET, P.NO_CHANGE_STREAM, *GUARD)
    ids = {"name": "ids", "in": "query", "schema": {"type": "string"}, "description": "Only these keys, with commas."}
    summary = "Live changes"
    return Operation("changes", "get", f"/v1/{dataset}/changes", summary, success, problems, (ids,), dataset=dataset)


def _aliases(contract: Contract) -> tuple[dict[str, Any], ...]:
    only = len(contract.aliases) == 1
    return tuple(
        {"name": alias.field.name, "in": "query", "required": only, "schema": schemas.identifier(alias.field)}
        for alias in contract.aliases
    )


def _by(contract: Contract) -> dict[str, Any]:
    names = [alias.field.name for alias in contract.aliases]
    return {"name": "by", "in": "query", "schema": {"enum": names}, "description": "The ids are such aliases."}


def _fields(contract: Contract) -> dict[str, Any]:
    names = {"type": "array", "minItems": 1, "items": {"enum": schemas.field_names(contract)}}
    return {
        "name": "fields", "in": "query", "style": "form", "explode": False, "schema": names,
        "description": "Answer with these fields only, with commas between them; the version is always there.",
    }  # fmt: skip


def _object(**members: Schema) -> Schema:
    return {"type": "object", "properties": members, "required": list(members)}


def _conditional(name: str, description: str) -> dict[str, Any]:
    return {"name": name, "in": "header", "schema": {"type": "string"}, "description": description}


_CONDITIONS: Final = (
    _conditional("If-None-Match", "ETags of what the caller has."),
    _conditional("If-Modified-Since", "The Last-Modified of what the caller has."),
)
