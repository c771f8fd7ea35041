"""Query parameters and bodies of requests → checked values."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec
from starlette.requests import Request

from local_stack.pod_runner.logs import LogQuery, since_seconds
from local_stack.pod_runner.selectors import ObjectTest, field_selector, label_selector
from local_stack.pod_runner.status import ApiError, Json, bad_request

BODY_BYTES_MAX = 1024 * 1024
_TRUE = ("1", "t", "T", "true", "TRUE", "True")
_FALSE = ("", "0", "f", "F", "false", "FALSE", "False")
_DELETE_OPTIONS = ("apiVersion", "kind", "gracePeriodSeconds", "preconditions", "propagationPolicy", "orphanDependents")

Params = Mapping[str, str]


def flag(params: Params, name: str) -> bool:
    """Return a boolean parameter; absent is false."""
    value = params.get(name, "")
    if value not in _TRUE + _FALSE:
        raise bad_request(f"{name}={value!r} is not a boolean; use true or false")
    return value in _TRUE


def integer(params: Params, name: str, minimum: int) -> int | None:
    """Return an integer parameter of at least `minimum`; absent is None."""
    value = params.get(name)
    if value is None:
        return None
    if not (value.isascii() and value.isdigit()) or len(value) > 18 or int(value) < minimum:
        raise bad_request(f"{name}={value!r} is not an integer of at least {minimum}")
    return int(value)


def selection(params: Params, fields: tuple[str, ...]) -> ObjectTest:
    """Return the predicate of labelSelector and fieldSelector together."""
    by_label = label_selector(params.get("labelSelector", ""))
    by_field = field_selector(params.get("fieldSelector", ""), fields)
    return lambda item: by_label(item) and by_field(item)


def log_query(params: Params) -> LogQuery:
    """Return what part of a log is wanted."""
    if flag(params, "previous"):
        raise bad_request("previous terminated container not found: pods of the local pod runner never restart")
    if params.get("stream", "All") != "All":
        raise bad_request("stdout and stderr are one stream here; leave stream out")
    return LogQuery(
        follow=flag(params, "follow"),
        timestamps=flag(params, "timestamps"),
        since_ns=_since_ns(params),
        tail_lines=integer(params, "tailLines", 0),
        limit_bytes=integer(params, "limitBytes", 1),
    )


def _since_ns(params: Params) -> int | None:
    if (age_s := integer(params, "sinceSeconds", 1)) is not None:
        return since_seconds(age_s)
    if (moment := params.get("sinceTime")) is None:
        return None
    try:
        return int(datetime.fromisoformat(moment).timestamp() * 1_000_000_000)
    except ValueError:
        raise bad_request(f"sinceTime={moment!r} is not an RFC 3339 time") from None


async def json_body(request: Request) -> Any:
    """Read a JSON body; None when there is none."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > BODY_BYTES_MAX:
            raise ApiError(413, "RequestEntityTooLarge", f"the body is larger than {BODY_BYTES_MAX} bytes")
    try:
        return msgspec.json.decode(body) if body else None
    except (msgspec.DecodeError, RecursionError) as error:
        raise bad_request(f"the body is not JSON, or nested too deep: {error}") from None


def refuse_dry_run(params: Params) -> None:
    """Refuse dryRun: taken as an ordinary request it would do what the caller only asks about."""
    if params.get("dryRun"):
        raise bad_request("dryRun is not implemented by the local pod runner")


def delete_options(params: Params, body: Any) -> Json:
    """Return the checked options of a deletion, from the query and the body."""
    options = body or {}
    if not isinstance(options, dict):
        raise bad_request("DeleteOptions is a JSON object")
    for name, value in options.items():
        if name not in _DELETE_OPTIONS and value:
            raise bad_request(f"the local pod runner does not implement the delete option {name!r}")
    grace = integer(params, "gracePeriodSeconds", 0)
    grace = options.get("gracePeriodSeconds") if grace is None else grace
    if grace is not None and (type(grace) is not int or grace < 0):
        raise bad_request(f"gracePeriodSeconds={grace!r} is not an integer of at least 0")
    preconditions = options.get("preconditions") or {}
    if not isinstance(preconditions, dict):
        raise bad_request("preconditions is a JSON object")
    return {"grace_s": grace, "preconditions": preconditions}
