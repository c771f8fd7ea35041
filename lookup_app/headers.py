"""The headers of an answer. Knows nothing of Flask, so that every way in sends the same."""

from __future__ import annotations

import time
from collections.abc import Callable
from email.utils import formatdate
from functools import lru_cache
from typing import Final

from instrument_cache.contract import Contract
from lookup_app.entries import Instrument
from lookup_app.stale import stale_headers

Headers = list[tuple[str, str]]

JSON: Final = "application/json"
# A cache in the caller's own program must not give one caller's answer to another who may not have it.
VARY: Final = "Authorization, X-API-Key"


def headers_of(contract: Contract) -> Callable[[Instrument], Headers]:
    """A function instrument → the headers of its 200 and its 304, but for Content-Type and Content-Length."""
    fixed: Headers = [("Cache-Control", cache_control(contract)), ("Vary", VARY)]
    is_time = contract.version_unit.is_time

    def headers(instrument: Instrument) -> Headers:
        of_version = [("ETag", f'"{instrument.etag}"'), ("Instrument-Version", str(instrument.version))]
        modified = last_modified(instrument.version) if is_time else None
        of_time = [] if modified is None else [("Last-Modified", modified)]
        return [*fixed, *of_version, *of_time, *stale_headers(instrument.stale_s)]

    return headers


def cache_control(contract: Contract) -> str:
    """What the contract allows a caller to keep. Shared caches may keep nothing: they do not know who may read."""
    return f"private, max-age={contract.http_max_age_s}" if contract.http_max_age_s else "no-cache"


def last_modified(version: int) -> str | None:
    """The second of a version that is a time; None if it is ahead of the clock, which HTTP does not allow."""
    second = version // 1_000_000
    return _http_date(second) if second <= time.time() else None


@lru_cache(4096)
def _http_date(second: int) -> str:
    return formatdate(second, usegmt=True)
