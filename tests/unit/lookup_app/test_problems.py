"""Errors have stable names, and their answers do not tell what is inside."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from instrument_cache.errors import IdentifierError, StoreUnavailable
from lookup_app.problems import Problem, ProblemType, problem_of

API = (Path(__file__).parents[3] / "docs" / "api.md").read_text(encoding="utf-8")
HEADINGS = re.findall(r"^#+ (.*)$", API, re.MULTILINE)


@pytest.mark.parametrize("kind", ProblemType)
def test_every_type_has_a_heading_and_its_status_in_the_documentation(kind: ProblemType) -> None:
    assert f"`/problems/{kind.slug}` ({kind.status})" in HEADINGS


def test_the_documentation_has_no_other_type() -> None:
    documented = {heading.split("`")[1] for heading in HEADINGS if heading.startswith("`/problems/")}
    assert documented == {kind.uri for kind in ProblemType}


def test_names_are_unique_and_fit_a_uri() -> None:
    slugs = [kind.slug for kind in ProblemType]
    assert len(set(slugs)) == len(slugs)
    assert all(re.fullmatch("[a-z]+(-[a-z]+)*", slug) for slug in slugs)


def test_the_members_of_the_standard_come_first() -> None:
    body = json.loads(Problem(ProblemType.BAD_REQUEST, "why", {"rule": "r"}).body("/here"))
    title = ProblemType.BAD_REQUEST.title
    assert list(body.items()) == [
        ("type", "/problems/bad-request"),
        ("title", title),
        ("status", 400),
        ("detail", "why"),
        ("instance", "/here"),
        ("rule", "r"),
    ]


def test_an_identifier_names_the_rule_and_the_value() -> None:
    problem = problem_of(IdentifierError("CUSIP", "x" * 5000, "length", "it is long"))
    assert (problem.kind, problem.extra["rule"]) == (ProblemType.INVALID_IDENTIFIER, "length")
    assert problem.extra["value"] == "x" * 100


def test_an_unavailable_store_says_when_to_come_back_and_no_address() -> None:
    problem = problem_of(StoreUnavailable("Error 111 connecting to 10.0.0.1:6379"))
    assert problem.headers["Retry-After"] == "1"
    assert b"10.0.0.1" not in problem.body()


def test_an_unforeseen_error_keeps_its_text_to_itself() -> None:
    problem = problem_of(KeyError("secret"))
    assert problem.kind is ProblemType.INTERNAL_ERROR
    assert b"secret" not in problem.body()
    assert "Retry-After" not in problem.headers
