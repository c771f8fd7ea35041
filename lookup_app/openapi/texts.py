"""The prose of the description, from the Markdown files beside this one. Facts stand in the code, not here."""

from __future__ import annotations

import re
from functools import cache
from importlib import resources

_FOLDER = resources.files("lookup_app.openapi") / "texts"


def text(name: str) -> str:
    """The whole of `texts/{name}.md`."""
    return _FOLDER.joinpath(f"{name}.md").read_text(encoding="utf-8").strip()


@cache
def sections(name: str) -> dict[str, str]:
    """Heading of the second level → what stands below it, for every one of `texts/{name}.md`."""
    parts = re.split(r"^## (.+)$", text(name), flags=re.MULTILINE)[1:]
    return {heading.strip(): body.strip() for heading, body in zip(parts[::2], parts[1::2], strict=True)}
