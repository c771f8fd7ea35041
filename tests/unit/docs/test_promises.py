"""docs/promises.md: every promise names its tests, and every test that it names exists."""

from __future__ import annotations

import ast
import re
from functools import cache

import pytest

from local_stack.instance import PROJECT
from tests.unit.docs.pages import DOCS, sections

PROMISES = sections(DOCS / "promises.md", level=2)
_TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


@cache
def _functions(path: str) -> set[str]:
    tree = ast.parse((PROJECT / path).read_text())
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_there_are_the_promises_that_others_count_on() -> None:
    named = " ".join(PROMISES).lower()
    for word in ("convergence", "monotonic", "accounting", "time to live", "resurrection", "dead letter", "one job"):
        assert word in named


@pytest.mark.parametrize("promise", PROMISES)
def test_a_promise_names_tests_that_exist(promise: str) -> None:
    named = _TEST.findall(PROMISES[promise])
    assert named, "a promise without a test is a wish"
    for path, function in named:
        assert (PROJECT / path).is_file(), path
        assert function in _functions(path), f"{path}::{function}"
