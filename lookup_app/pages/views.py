"""`/` and the files of the page."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from flask import Flask, Response

from lookup_app.static_files import StaticFiles

FILES: Final = ("index.html", "page.css", "icon.svg", "main.js", "api.js", "live.js", "table.js", "words.js")


class PageViews:
    """`changes_url` is where the change stream's own process is: the one other place to which the page may connect."""

    def __init__(self, changes_url: str | None) -> None:
        self._files = StaticFiles("lookup_app.pages", "static", FILES, _policy(changes_url))

    def register(self, app: Flask) -> None:
        app.add_url_rule("/", "page", self.page)
        app.add_url_rule("/page/<string:name>", "page_file", self._files.answer)

    def page(self) -> Response:
        return self._files.answer("index.html")


def _policy(changes_url: str | None) -> str:
    parts = urlsplit(changes_url or "")
    stream = f" {parts.scheme}://{parts.netloc}" if changes_url else ""
    return (
        f"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'{stream}; "
        "frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
    )
