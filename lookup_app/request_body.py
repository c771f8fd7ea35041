"""The body of a request: of a known type, within its limit, and read once."""

from __future__ import annotations

from collections.abc import Sequence

from flask import request
from werkzeug.exceptions import RequestEntityTooLarge

from lookup_app.problems import VALUE_CHARACTERS_MAX, Problem, ProblemType


def read_body(bytes_max: int) -> bytes:
    """The request's body. Raises Problem if it is longer than `bytes_max`."""
    # Werkzeug cuts a body of unknown length at its maximum without a word, so that one byte more must be asked for.
    request.max_content_length = bytes_max + 1
    try:
        body = request.get_data(cache=False)
    except RequestEntityTooLarge:
        raise _too_large(bytes_max) from None
    if len(body) > bytes_max:
        raise _too_large(bytes_max)
    return body


def content_type(known: Sequence[str]) -> str:
    """The body's media type, one of `known`. Raises Problem for another one, or for a body that is compressed."""
    encoding = request.headers.get("Content-Encoding", "identity")
    if request.mimetype in known and encoding.lower() == "identity":
        return request.mimetype
    sent = request.headers.get("Content-Type", "")[:VALUE_CHARACTERS_MAX]
    detail = (
        f"The body is {sent!r} (Content-Encoding {encoding[:VALUE_CHARACTERS_MAX]!r}); send plain {' or '.join(known)}."
    )
    raise Problem(ProblemType.UNSUPPORTED_CONTENT_TYPE, detail, {"supported": list(known)})


def _too_large(bytes_max: int) -> Problem:
    detail = f"The body may have {bytes_max} bytes. Send fewer ids per request."
    return Problem(ProblemType.BODY_TOO_LARGE, detail, {"limit": bytes_max})
