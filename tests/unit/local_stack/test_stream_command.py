"""`icache stream` hands over to the launcher: arguments, environment, exit code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from instrument_cache_airflow import desired_state
from local_stack.cli import main
from local_stack.commands import stream
from local_stack.instance import Instance

ECHO = """#!/bin/sh
printf '%s|%s|%s\\n' "$*" "$ICACHE_JOB_VERSION" "$ICACHE_REDIS_URL" >> "$ICACHE_HOME/called"
cat "$ICACHE_HOME/answer"
exit "$(cat "$ICACHE_HOME/code")"
"""
OVERVIEW: dict[str, Any] = {
    "current": {"release": "2", "parallelism": None, "job_id": "j2"},
    "trial": None,
    "past": [{"release": "1", "verdict": "good", "reason": "replaced by 2", "ended_us": 1_763_674_000_000_000}],
    "releases": [
        {"version": "2", "digest": "d" * 64, "size": 9, "published_us": 1_763_674_000_000_000, "state": "current"}
    ],
}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An instance whose Flink environment is a script that writes down how it was called."""
    home, tools = tmp_path / "home", tmp_path / "tools"
    (tools / "flink" / "bin").mkdir(parents=True)
    (tools / "flink" / "lib" / "python3.11" / "site-packages" / "pyflink").mkdir(parents=True)
    python = tools / "flink" / "bin" / "python"
    python.write_text(ECHO)
    python.chmod(0o755)
    monkeypatch.setenv("ICACHE_HOME", str(home))
    monkeypatch.setenv("ICACHE_TOOLS", str(tools))
    Instance.from_environment().make_secrets()
    (home / "answer").write_text(json.dumps(OVERVIEW))
    (home / "code").write_text("0")
    return home


def icache(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["stream", *arguments])


def called(home: Path) -> tuple[str, str]:
    arguments, version, url = (home / "called").read_text().splitlines()[-1].split("|")
    assert url.startswith("redis://"), "the pod's settings"
    return arguments.removeprefix("-m flink_jobs.submit "), version


@pytest.mark.parametrize(
    ("arguments", "passed"),
    [
        (["upgrade"], ("upgrade --from newest", "")),
        (["upgrade", "--as", "7"], ("upgrade --from newest", "7")),
        (["upgrade", "--to", "7", "--from", "beginning"], ("upgrade --to 7 --from beginning", "")),
        (["rollback"], ("rollback --from newest", "")),
        (["rollback", "--to", "6", "--from", "before"], ("rollback --to 6 --from before", "")),
        (["scale", "2"], ("scale 2", "")),
        (["stop"], ("stop", "")),
        (["start"], ("ensure", "")),
    ],
)
def test_passes_on_what_was_asked(home: Path, arguments: list[str], passed: tuple[str, str]) -> None:
    assert icache(*arguments).exit_code == 0
    assert called(home) == passed


@pytest.mark.parametrize("code", [1, 3, 4, 5])
def test_the_exit_code_is_the_launchers(home: Path, code: int) -> None:
    (home / "code").write_text(str(code))
    assert icache("upgrade").exit_code == code


@pytest.mark.parametrize(
    "arguments", [["upgrade", "--as", "1", "--to", "2"], ["scale", "0"], ["scale", "x"], ["upgrade", "--from", "now"]]
)
def test_what_makes_no_sense_is_refused_before_anything_is_called(home: Path, arguments: list[str]) -> None:
    assert icache(*arguments).exit_code == 2
    assert not (home / "called").exists()


def test_versions_as_a_table_and_as_json(home: Path) -> None:
    table = icache("versions").output
    assert "current: 2, parallelism default, job j2" in table
    assert "1  good: replaced by 2" in table
    assert json.loads(icache("versions", "--json").output) == OVERVIEW


def test_versions_says_why_there_are_none_to_see(home: Path) -> None:
    (home / "code").write_text("1")
    assert icache("versions").exit_code == 1


def test_without_a_stack_it_says_how_to_start_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ICACHE_HOME", str(tmp_path))
    result = icache("upgrade")
    assert result.exit_code == 1


def test_the_watchdogs_variables_are_those_of_the_plugin() -> None:
    assert (stream.DESIRED, stream.STOPPED_AT) == (desired_state.DESIRED, desired_state.STOPPED_AT)
