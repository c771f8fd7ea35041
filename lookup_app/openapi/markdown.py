"""The OpenAPI document → docs/api.md, so that what is written about the API is what the service says of itself."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from lookup_app.openapi.texts import sections, text
from lookup_app.problems import ProblemType

_HEAD = """\
# The lookup service's API

{introduction}

On a laptop it listens at `http://127.0.0.1:8000`; the examples assume that. This page is made of the service's own
description by `icache api docs`: change that (`lookup_app/openapi/`), not it. Its paths are those of `{dataset}`.

## Endpoints
"""


def page(document: Mapping[str, Any], dataset: str) -> str:
    """The whole page, with the routes of one dataset and of the service."""
    parts = [_HEAD.format(introduction=document["info"]["description"], dataset=dataset)]
    for path, item in document["paths"].items():
        parts += [_operation(path, method, item) for method in item if method != "head" and _belongs(item, dataset)]
    parts += ["## Headers\n", *_table(["header", "what it says"], _headers()), "\n## Errors\n", text("errors"), ""]
    parts += [_problem(kind) for kind in ProblemType]
    return "\n".join(parts)


def _belongs(item: Mapping[str, Any], dataset: str) -> bool:
    return any(operation["tags"][0] in (dataset, "service") for operation in item.values())


def _operation(path: str, method: str, item: Mapping[str, Any]) -> str:
    operation = item[method]
    lines = [f"### `{method.upper()} {path}`\n", operation["description"], ""]
    if "head" in item:
        lines += ["`HEAD` answers the same without the body.", ""]
    if "parameters" in operation:
        rows = [_parameter(parameter) for parameter in operation["parameters"]]
        lines += [*_table(["parameter", "in", "what it is"], rows), ""]
    lines += [*_table(["status", "answer"], _answers(operation["responses"])), ""]
    return "\n".join(lines)


def _parameter(parameter: Mapping[str, Any]) -> list[str]:
    schema = parameter["schema"]
    what = parameter.get("description") or schema.get("description", "")
    allowed = schema.get("enum") or schema.get("items", {}).get("enum")
    if allowed:
        what += f" One of: {', '.join(f'`{name}`' for name in allowed)}."
    return [f"`{parameter['name']}`", parameter["in"], what]


def _answers(responses: Mapping[str, Any]) -> Iterator[list[str]]:
    for status, response in responses.items():
        yield [status, _linked(response["description"], int(status))]


def _linked(description: str, status: int) -> str:
    """The names of problems as links to their sections."""
    kinds = [kind for kind in ProblemType if f"`{kind.slug}`: " in description and kind.status == status]
    links = [f"[`{kind.slug}`](#problems{kind.slug}-{kind.status})" for kind in kinds]
    return ", ".join(links) or description


def _headers() -> Iterator[list[str]]:
    for name, what in sections("headers").items():
        yield [f"`{name}`", " ".join(what.split())]


def _problem(kind: ProblemType) -> str:
    return f"### `{kind.uri}` ({kind.status})\n\n{kind.title}. {sections('problems')[kind.slug]}\n"


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    for cells in (header, ["---"] * len(header), *rows):
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"
