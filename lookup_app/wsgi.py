"""What a WSGI server loads: `granian --interface wsgi lookup_app.wsgi:app`. Nothing is connected at import."""

from __future__ import annotations

from flask import Flask

from instrument_cache.errors import InstrumentCacheError
from instrument_cache.logs import configure_logging
from lookup_app.app import create_app
from lookup_app.config import lookup_settings
from lookup_app.orphans import end_with_server


def _app() -> Flask:
    end_with_server()
    try:
        configure_logging("lookup")
        return create_app(lookup_settings())
    except InstrumentCacheError as error:
        raise SystemExit(f"lookup: {error}") from None


app = _app()
