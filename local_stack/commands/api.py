"""`icache api`: the lookup service's description of itself, and the page that is made of it."""

from __future__ import annotations

import json
from typing import Any, Final

import click

from instrument_cache.contract import load_contract
from local_stack.instance import PROJECT
from lookup_app.config import LookupSettings
from lookup_app.openapi.document import document
from lookup_app.openapi.markdown import page as markdown

PAGE: Final = PROJECT / "docs" / "api.md"
_CONTRACT: Final = PROJECT / "contracts" / "instruments.yaml"


@click.group()
def api() -> None:
    """Print the lookup service's OpenAPI document, or write docs/api.md of it."""


@api.command()
def openapi() -> None:
    """Print the OpenAPI document of a service with the project's own contract of instruments."""
    print(json.dumps(_document(), indent=2, ensure_ascii=False))


@api.command()
def docs() -> None:
    """Write docs/api.md anew."""
    PAGE.write_text(page(), encoding="utf-8")
    print(f"Wrote {PAGE}.")


def page() -> str:
    """What docs/api.md must say, whatever the settings here are."""
    return markdown(_document(), "instruments")


def _document() -> dict[str, Any]:
    return document([load_contract(_CONTRACT)], LookupSettings("redis://unused", (_CONTRACT,)))
