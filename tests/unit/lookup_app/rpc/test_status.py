"""Problems as gRPC says them."""

from __future__ import annotations

import json

import grpc
import pytest

from instrument_cache.errors import IdentifierError
from lookup_app.problems import Problem, ProblemType, problem_of
from lookup_app.rpc.status import code_of, metadata_of


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (ProblemType.INVALID_IDENTIFIER, grpc.StatusCode.INVALID_ARGUMENT),
        (ProblemType.UNAUTHENTICATED, grpc.StatusCode.UNAUTHENTICATED),
        (ProblemType.FORBIDDEN, grpc.StatusCode.PERMISSION_DENIED),
        (ProblemType.UNKNOWN_INSTRUMENT, grpc.StatusCode.NOT_FOUND),
        (ProblemType.RATE_LIMITED, grpc.StatusCode.RESOURCE_EXHAUSTED),
        (ProblemType.STORE_UNAVAILABLE, grpc.StatusCode.UNAVAILABLE),
        (ProblemType.BUSY, grpc.StatusCode.UNAVAILABLE),
        (ProblemType.INTERNAL_ERROR, grpc.StatusCode.INTERNAL),
    ],
)
def test_status_codes(kind: ProblemType, code: grpc.StatusCode) -> None:
    assert code_of(Problem(kind, "why")) is code


def test_metadata_say_the_rest_in_characters_that_metadata_may_have() -> None:
    problem = problem_of(IdentifierError("CUSIP", "\uff1937833100\r\n", "characters", "why"))
    found = dict(metadata_of(problem))
    assert (found["problem-type"], found["problem-rule"]) == ("invalid-identifier", "characters")
    value = found["problem-value"]
    assert isinstance(value, str)
    assert value.isascii()
    assert value.isprintable()
    whole = found["problem-bin"]
    assert json.loads(whole)["value"] == "\uff1937833100\r\n"


def test_when_to_try_again() -> None:
    assert dict(metadata_of(Problem(ProblemType.BUSY, "why")))["retry-after"] == "1"
