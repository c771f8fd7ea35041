"""Templates into answers, with the headers that keep everything else out of them."""

from __future__ import annotations

from collections import Counter
from pathlib import PurePosixPath
from typing import Any, Final

from fastapi import Request, Response
from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined

from instrument_cache.overview.model import Overview
from instrument_cache.overview.words import number_text
from instrument_cache_airflow.page import plot
from instrument_cache_airflow.page.lazy import PREFIX

HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "frame-ancestors 'self'; base-uri 'none'; form-action 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
_WORDS: Final = {"red": "Red", "warn": "Look", "ok": "Good"}


def _runbook_name(runbook: str) -> str:
    """`docs/runbook/NAME.md` and `NAME` are the same page."""
    return PurePosixPath(runbook).name.removesuffix(".md")


def _environment() -> Environment:
    # Whatever comes from outside is escaped: nothing but our own pictures and pages is Markup.
    made = Environment(
        loader=PackageLoader("instrument_cache_airflow.page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {"svg": plot.svg, "rows": plot.rows, "number": number_text, "runbook_name": _runbook_name}
    made.globals["words"] = _WORDS
    return made


_TEMPLATES: Final = _environment()


def html(request: Request, template: str, status: int = 200, **values: Any) -> Response:
    """A page. Addresses begin where this API server is mounted."""
    root = request.scope["root_path"]
    body = _TEMPLATES.get_template(template).render(root=root, airflow=root.removesuffix(PREFIX), **values)
    return HTMLResponse(body, status, HEADERS)


def state_sentence(overview: Overview) -> str:
    """How many things need somebody, in one sentence."""
    found = Counter([*(finding.severity for finding in overview.findings), *(tile.severity for tile in overview.tiles)])
    red, look = _things(found["red"]), _things(found["warn"])
    if found["red"]:
        return f"{red} red" + (f", {look} worth a look." if found["warn"] else ".")
    return f"{look} worth a look." if found["warn"] else "Everything is well."


def _things(count: int) -> str:
    return f"{count} thing is" if count == 1 else f"{count} things are"
