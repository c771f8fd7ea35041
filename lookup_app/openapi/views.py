"""`/openapi.json`, and `/docs`: Swagger UI from an installed package, so that no outside host is needed."""

from __future__ import annotations

from typing import Any, Final

from flask import Flask, Response

from instrument_cache.projection import encode
from lookup_app.headers import JSON
from lookup_app.static_files import StaticFiles

# Swagger UI sets styles of its own on elements; nothing else stands in the page.
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)
_OWN: Final = ("index.html", "start.js")
_OF_THE_PACKAGE: Final = ("swagger-ui.css", "index.css", "swagger-ui-bundle.js", "favicon-32x32.png")


class DescriptionViews:
    """The description of the API, for programs and for people."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._body = encode(document)
        self._own = StaticFiles("lookup_app.openapi", "static", _OWN, _POLICY)
        self._package = StaticFiles("flask_swagger_ui", "dist", _OF_THE_PACKAGE, _POLICY)

    def register(self, app: Flask) -> None:
        app.add_url_rule("/openapi.json", "openapi", self.openapi)
        app.add_url_rule("/docs", "docs", lambda: self._own.answer("index.html"))
        app.add_url_rule("/docs/<string:name>", "docs_file", self.file)

    def openapi(self) -> Response:
        return Response(self._body, 200, {"Cache-Control": "no-cache"}, content_type=JSON)

    def file(self, name: str) -> Response:
        return (self._own if name in self._own else self._package).answer(name)
