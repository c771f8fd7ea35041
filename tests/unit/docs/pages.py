"""The documentation's pages."""

from __future__ import annotations

import re
from pathlib import Path

from local_stack.instance import PROJECT

DOCS = PROJECT / "docs"


def sections(page: Path, level: int) -> dict[str, str]:
    """Heading → what stands below it, for every heading of a level."""
    parts = re.split(rf"^{'#' * level} (.+)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {heading.strip("`"): re.split(r"^#", body, flags=re.MULTILINE)[0] for heading, body in _pairs(parts[1:])}


def _pairs(items: list[str]) -> list[tuple[str, str]]:
    return list(zip(items[::2], items[1::2], strict=True))
