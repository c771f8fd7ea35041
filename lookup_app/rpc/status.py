"""Problems as gRPC says them: a status code, and what the problem has besides in the trailing metadata."""

from __future__ import annotations

from typing import Final
from urllib.parse import quote

import grpc

from lookup_app.problems import Problem

_CODES: Final = {
    400: grpc.StatusCode.INVALID_ARGUMENT,
    401: grpc.StatusCode.UNAUTHENTICATED,
    403: grpc.StatusCode.PERMISSION_DENIED,
    404: grpc.StatusCode.NOT_FOUND,
    413: grpc.StatusCode.RESOURCE_EXHAUSTED,
    429: grpc.StatusCode.RESOURCE_EXHAUSTED,
    503: grpc.StatusCode.UNAVAILABLE,
}
# Headers of REST that mean something to a caller of gRPC too.
_PASSED_ON: Final = ("retry-after", "www-authenticate")
Metadata = tuple[tuple[str, str | bytes], ...]


def code_of(problem: Problem) -> grpc.StatusCode:
    """The status code of a problem."""
    return _CODES.get(problem.kind.status, grpc.StatusCode.INTERNAL)


def metadata_of(problem: Problem) -> Metadata:
    """`problem-type`, `problem-rule`, `problem-value` (percent-encoded) and `problem-bin`, the whole of it as JSON."""
    members = {"problem-type": problem.kind.slug}
    for name in ("rule", "value"):
        if name in problem.extra:
            members[f"problem-{name}"] = quote(str(problem.extra[name]), safe=" *@#:._-")
    passed = {name.lower(): value for name, value in problem.headers.items()}
    members |= {name: value for name, value in passed.items() if name in _PASSED_ON or name.startswith("ratelimit")}
    return (*members.items(), ("problem-bin", problem.body()))
