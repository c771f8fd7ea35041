"""The pages of docs/, so that a runbook is one click away: by name, from the files that there are, and nothing else."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Final

from markdown_it import MarkdownIt
from markdown_it.rules_core import StateCore
from markupsafe import Markup

import instrument_cache

FOLDER: Final = Path(instrument_cache.__file__).resolve().parent.parent / "docs"
_KINDS: Final = (".md", ".png")


def _without_styles(state: StateCore) -> None:
    """The page's policy allows no style attribute, which is how a table says that a column is of numbers."""
    for token in state.tokens:
        if "right" in str(token.attrs.pop("style", "")):
            token.attrSet("class", "number")


class Documents:
    """The documentation that came with the code."""

    @cached_property
    def _files(self) -> dict[str, Path]:
        """Path below docs/ → file: whoever asks for another one, such as `../`, finds nothing."""
        return {str(path.relative_to(FOLDER)): path for path in FOLDER.rglob("*") if path.suffix in _KINDS}

    @cached_property
    def _markdown(self) -> MarkdownIt:
        # HTML in a page is shown as it is written, and no address leads to a script.
        made = MarkdownIt("commonmark", {"html": False}).enable("table")
        made.core.ruler.push("policy", _without_styles)
        return made

    def __contains__(self, name: str) -> bool:
        return name in self._files

    def page(self, name: str) -> Markup | None:
        """A page as HTML; None if there is none of that name."""
        path = self._files.get(name)
        if path is None or path.suffix != ".md":
            return None
        body = self._markdown.render(path.read_text(encoding="utf-8"))
        # What scrolls sideways on a phone is reached by keyboard too. A page's own "<pre>" is text, and escaped.
        return Markup(body.replace("<pre>", '<pre tabindex="0">').replace("<table>", '<table tabindex="0">'))

    def image(self, name: str) -> bytes | None:
        """A picture; None if there is none of that name."""
        path = self._files.get(name)
        return path.read_bytes() if path is not None and path.suffix == ".png" else None
