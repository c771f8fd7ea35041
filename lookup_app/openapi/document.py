"""Contracts and settings → the OpenAPI 3.1 document. The same input gives the same document."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from instrument_cache.contract import Contract
from lookup_app.config import LookupSettings
from lookup_app.openapi import operations, schemas
from lookup_app.openapi.operations import GUARD, Operation, Success
from lookup_app.openapi.texts import sections, text
from lookup_app.problems import MEDIA_TYPE, ProblemType

VERSION: Final = "1"
_SECURITY: Final[dict[str, Any]] = {
    "token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
    "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
}


def document(contracts: Sequence[Contract], settings: LookupSettings) -> dict[str, Any]:
    """The description of a service that serves these contracts."""
    found = [*(op for contract in contracts for op in operations.of_dataset(contract, settings)), *operations.general()]
    paths: dict[str, Any] = {}
    for operation in found:
        paths.setdefault(operation.path, {})[operation.method] = _operation(operation)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Instrument Cache", "version": VERSION, "description": text("introduction")},
        "servers": [{"url": "/"}],
        "tags": [*({"name": c.dataset, "description": c.purpose} for c in contracts), {"name": "service"}],
        "paths": paths,
        "components": {
            "schemas": _components(contracts, settings),
            "headers": {name: _header(name) for name in sections("headers")},
            "securitySchemes": _SECURITY,
        },
    }


def _components(contracts: Iterable[Contract], settings: LookupSettings) -> dict[str, Any]:
    found: dict[str, Any] = {"Problem": schemas.problem(), **schemas.own_types()}
    for contract in contracts:
        name = schemas.title(contract.dataset)
        found[name] = schemas.record(contract)
        found[f"{name}Batch"] = schemas.batch_request(contract, settings)
        found[f"{name}Result"] = schemas.batch_result(contract)
    return found


def _operation(operation: Operation) -> dict[str, Any]:
    has_body = operation.method != "head"
    found: dict[str, Any] = {
        "operationId": "_".join(filter(None, [operation.dataset, operation.name, operation.method])),
        "summary": operation.summary,
        "description": sections("operations")[operation.name],
        "tags": [operation.dataset or "service"],
        "responses": {
            **{str(status): _success(success, has_body) for status, success in operation.successes.items()},
            **_problems(operation.problems, has_body),
        },
    }
    if operation.parameters:
        found["parameters"] = list(operation.parameters)
    if operation.body:
        content = {media_type: {"schema": schema} for media_type, schema in operation.body.items()}
        found["requestBody"] = {"required": True, "content": content}
    if set(GUARD) <= set(operation.problems):
        found["security"] = [{}, *({name: []} for name in _SECURITY)]
    return found


def _success(success: Success, has_body: bool) -> dict[str, Any]:
    always = {name: {**_header(name), "required": True} for name in success.headers}
    headers = {**always, **{name: {"$ref": f"#/components/headers/{name}"} for name in success.optional_headers}}
    found: dict[str, Any] = {"description": success.description}
    if headers:
        found["headers"] = headers
    if has_body and success.content:
        found["content"] = {media_type: {"schema": schema} for media_type, schema in success.content.items()}
    return found


def _problems(kinds: Sequence[ProblemType], has_body: bool) -> dict[str, Any]:
    """One response for each status, which names its types."""
    found: dict[str, Any] = {}
    for status in sorted({kind.status for kind in kinds}):
        same = [kind for kind in kinds if kind.status == status]
        described = {"description": "; ".join(f"`{kind.slug}`: {kind.title}" for kind in same)}
        content = {"content": {MEDIA_TYPE: {"schema": schemas.of_kinds(same)}}} if has_body else {}
        found[str(status)] = {**described, **content}
    return found


def _header(name: str) -> dict[str, Any]:
    return {"schema": {"type": "string"}, "description": sections("headers")[name]}
