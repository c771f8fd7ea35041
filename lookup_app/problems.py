"""Errors as answers: application/problem+json (RFC 9457). Knows nothing of Flask, so that every way in says the same.

docs/api.md has a heading for each type.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from http import HTTPStatus
from typing import Final

from instrument_cache.errors import IdentifierError, InstrumentCacheError, Unavailable
from instrument_cache.projection import encode
from lookup_app.stale import stale_headers

MEDIA_TYPE: Final = "application/problem+json"
RETRY_AFTER_S: Final = 1
# What a caller sent comes back in the answer, cut to this many characters.
VALUE_CHARACTERS_MAX: Final = 100


class ProblemType(Enum):
    """Every kind of error, with its stable name, its HTTP status and its title."""

    INVALID_IDENTIFIER = ("invalid-identifier", 400, "The identifier breaks a rule")
    INVALID_FIELDS = ("invalid-fields", 400, "The selection of fields cannot be used")
    INVALID_QUERY = ("invalid-query", 400, "The query parameters cannot be used")
    INVALID_BODY = ("invalid-body", 400, "The body cannot be used")
    INVALID_BATCH_SIZE = ("invalid-batch-size", 400, "The batch has too few or too many ids")
    BAD_REQUEST = ("bad-request", 400, "The request cannot be used")
    UNAUTHENTICATED = ("unauthenticated", 401, "The caller is not known")
    FORBIDDEN = ("forbidden", 403, "The caller may not read this dataset")
    UNKNOWN_INSTRUMENT = ("unknown-instrument", 404, "No such instrument")
    DELETED_INSTRUMENT = ("deleted-instrument", 404, "The instrument was deleted")
    UNKNOWN_DATASET = ("unknown-dataset", 404, "No such dataset")
    NO_CHANGE_STREAM = ("no-change-stream", 404, "There is no change stream")
    NO_SUCH_ROUTE = ("no-such-route", 404, "No such route")
    METHOD_NOT_ALLOWED = ("method-not-allowed", 405, "The route does not have this method")
    BODY_TOO_SLOW = ("body-too-slow", 408, "The body arrives too slowly")
    BODY_TOO_LARGE = ("body-too-large", 413, "The body is too large")
    UNSUPPORTED_CONTENT_TYPE = ("unsupported-content-type", 415, "The content type is not supported")
    RATE_LIMITED = ("rate-limited", 429, "Too many requests")
    INTERNAL_ERROR = ("internal-error", 500, "The service failed")
    SOURCE_UNAVAILABLE = ("source-unavailable", 503, "The source does not answer")
    STORE_UNAVAILABLE = ("store-unavailable", 503, "The store does not answer")
    UNREADABLE_ENTRY = ("unreadable-entry", 503, "The stored entry cannot be read")
    NOT_READY = ("not-ready", 503, "The service is not ready")
    BUSY = ("busy", 503, "Too many such requests at once")
    KEYS_UNAVAILABLE = ("keys-unavailable", 503, "The caller cannot be checked now")

    def __init__(self, slug: str, status: int, title: str) -> None:
        self.slug, self.status, self.title = slug, status, title

    @property
    def uri(self) -> str:
        """The `type` of the answer; relative, so that it holds behind every proxy."""
        return f"/problems/{self.slug}"


class Problem(InstrumentCacheError):
    """An error with all that its answer says. `extra` are further members, such as `rule` and `value`.

    `stale_s` is as that of an instrument: not None if the answer comes from before the store went away.
    """

    def __init__(
        self,
        kind: ProblemType,
        detail: str,
        extra: Mapping[str, object] | None = None,
        *,
        stale_s: float | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(f"{kind.slug}: {detail}")
        self.kind, self.detail, self.extra, self.stale_s = kind, detail, extra or {}, stale_s
        self._headers = headers or {}

    @property
    def headers(self) -> dict[str, str]:
        """Headers beyond the content type. An error is never kept by a cache on the way."""
        headers = {"Cache-Control": "no-store"}
        if self.kind.status == HTTPStatus.SERVICE_UNAVAILABLE:
            headers["Retry-After"] = str(RETRY_AFTER_S)
        if "version" in self.extra:
            headers["Instrument-Version"] = str(self.extra["version"])
        return {**headers, **self._headers} | dict(stale_headers(self.stale_s))

    def body(self, instance: str | None = None) -> bytes:
        """The JSON of the answer; `instance` is the path of the request that it answers."""
        kind = self.kind
        members = {"type": kind.uri, "title": kind.title, "status": kind.status, "detail": self.detail}
        return encode({**members, **({"instance": instance} if instance else {}), **self.extra})


def problem_of(error: Exception) -> Problem:
    """The answer to an error. What the caller cannot change is for the log: its text stays out of the answer."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, IdentifierError):
        extra = {"identifier": error.kind.lower(), "rule": error.rule, "value": error.value[:VALUE_CHARACTERS_MAX]}
        return Problem(ProblemType.INVALID_IDENTIFIER, str(error), extra)
    if isinstance(error, Unavailable):
        detail = f"The store of instruments does not answer. Try again in {RETRY_AFTER_S} s."
        return Problem(ProblemType.STORE_UNAVAILABLE, detail)
    return Problem(ProblemType.INTERNAL_ERROR, "The service met an error of its own; its log has it by X-Request-ID.")
