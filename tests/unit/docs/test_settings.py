"""docs/settings.md has a heading for every setting, and says the default and the range that the code has."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from local_stack.instance import PROJECT
from tests.unit.docs.pages import DOCS, sections

FOLDERS = (
    *("instrument_cache", "feed", "exporter", "flink_jobs", "lookup_app", "local_stack", "dags", "plugins"),
    "benchmarks",
)
FILES = ("icache", "Makefile", "docker-compose.yaml")
SUFFIXES = (".py", ".sh")
DOCUMENTED = sections(DOCS / "settings.md", level=3)
# A default that depends on where the project lies is described in words.
IN_WORDS = {"ICACHE_CONTRACTS", "ICACHE_HOME", "ICACHE_TOOLS"}


class Read(NamedTuple):
    """One `env.text(…)`, `env.integer(…)` or `env.secret(…)` in the code; absent arguments are None."""

    method: str
    name: str
    default: Any
    low: Any
    high: Any


def _sources() -> Iterator[Path]:
    for folder in (*FOLDERS, "docker"):
        yield from (path for path in (PROJECT / folder).rglob("*") if path.suffix in SUFFIXES)
    yield from (PROJECT / name for name in FILES)


def _names() -> set[str]:
    found = {name for path in _sources() for name in re.findall(r"ICACHE_[A-Z0-9_]*[A-Z0-9]", path.read_text())}
    # A secret may come as a file: that is the same setting.
    return {name for name in found if name.removesuffix("_FILE") not in found - {name}}


@cache
def _reads() -> list[Read]:
    python = (path for path in _sources() if path.suffix == ".py")
    calls = (node for path in python for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call))
    return [read for call in calls if (read := _read(call))]


def _reads_by(method: str) -> list[Read]:
    return [read for read in _reads() if read.method == method]


def _read(call: ast.Call) -> Read | None:
    if not isinstance(call.func, ast.Attribute) or call.func.attr not in ("text", "integer", "secret"):
        return None
    given = dict(zip(("name", "default", "low", "high"), call.args, strict=False))
    given |= {keyword.arg: keyword.value for keyword in call.keywords if keyword.arg}
    name = given.get("name")
    if not isinstance(name, ast.Constant) or not str(name.value).startswith("ICACHE_"):
        return None
    return Read(call.func.attr, str(name.value), *(_value(given.get(key)) for key in ("default", "low", "high")))


def _value(node: ast.expr | None) -> Any:
    """The value of an expression of constants such as `1024 * 1024`, else None."""
    if node is None or any(isinstance(part, ast.Name | ast.Call) for part in ast.walk(node)):
        return None
    return eval(compile(ast.Expression(node), "<setting>", "eval"))


def test_every_setting_has_a_heading_and_every_heading_is_a_setting() -> None:
    assert _names() == set(DOCUMENTED)


def test_the_reader_finds_what_the_code_reads() -> None:
    assert {read.name for read in _reads()} <= _names()
    assert len(_reads()) > 30


@pytest.mark.parametrize("name", sorted(DOCUMENTED))
def test_says_default_range_and_reader(name: str) -> None:
    for what in ("Default", "Range", "Read by"):
        assert re.search(rf"^- {what}: \S", DOCUMENTED[name], re.MULTILINE), what


@pytest.mark.parametrize("read", _reads_by("integer"), ids=lambda read: str(read.name))
def test_says_the_numbers_of_the_code(read: Read) -> None:
    text = DOCUMENTED[read.name]
    assert f"- Default: `{read.default}`\n" in text
    assert re.search(r"^- Unit: \S", text, re.MULTILINE)
    assert re.search(rf"^- Range: {read.low} to {read.high}$", text, re.MULTILINE)


@pytest.mark.parametrize("read", _reads_by("text"), ids=lambda read: str(read.name))
def test_says_the_texts_of_the_code(read: Read) -> None:
    default = re.search(r"^- Default: (.*)$", DOCUMENTED[read.name], re.MULTILINE)
    assert default is not None
    if read.name not in IN_WORDS:
        assert ("none" if read.default is None else f"`{read.default}`") in default[1]


def test_marks_exactly_the_secrets() -> None:
    marked = {name for name, text in DOCUMENTED.items() if text.lstrip().startswith("*Secret.*")}
    assert marked == {read.name for read in _reads_by("secret")}
