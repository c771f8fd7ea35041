"""The examples of the README do what they say, as they are printed."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable

import pytest

from local_stack.synthetic import synthetic_rows
from tests.integration.lookup_app.servers import PROJECT, Granian

PRINTED = "http://127.0.0.1:8000"
Change = Callable[..., int]


def example(language: str) -> str:
    """The one block of that language below `## Ask it`."""
    section = (PROJECT / "README.md").read_text().partition("\n## Ask it\n")[2].partition("\n## ")[0]
    (block,) = re.findall(rf"^```{language}\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    assert PRINTED in block
    return str(block)


@pytest.fixture
def run(granian: Granian, change: Change) -> Callable[..., str]:
    (row,) = synthetic_rows(1)
    change(json.loads(row))

    def run(language: str, *command: str) -> str:
        text = example(language).replace(PRINTED, granian.url)
        done = subprocess.run([*command, text], capture_output=True, text=True, timeout=60)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    return run


def test_with_curl(run: Callable[..., str]) -> None:
    decoder, said, answers = json.JSONDecoder(), run("sh", "bash", "-euc"), []
    while said:
        answer, end = decoder.raw_decode(said)
        answers.append(answer)
        said = said[end:].lstrip()
    single, alias, batch = answers
    assert single["cusip"] == alias["cusip"] == "990000002"
    assert list(alias) == ["v", "cusip", "name"]
    assert [result["status"] for result in batch["results"]] == [200, 400]


def test_with_python(run: Callable[..., str]) -> None:
    name, changed, found, failed = run("python", sys.executable, "-c").splitlines()
    assert name.startswith("name: Synthetic Issuer 0")
    assert changed == "changed: False"
    assert found.startswith("990000002 Synthetic Issuer 0")
    assert failed.startswith("037833101 CUSIP '037833101' breaks the rule 'check_digit'")
