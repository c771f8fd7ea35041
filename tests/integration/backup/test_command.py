"""`icache backup` as an operator calls it."""

from __future__ import annotations

import json
from typing import Any

import pytest
import redis
from click.testing import CliRunner, Result

from local_stack.cli import main
from local_stack.instance import Instance
from tests.integration.backup.filling import fill
from tests.servers import free_port


@pytest.fixture
def icache(instance: Instance, cache: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Calls `icache backup …` on the instance, with a cache of 210 entries."""
    monkeypatch.setenv("ICACHE_HOME", str(instance.home))
    monkeypatch.setenv("ICACHE_PORT_OFFSET", str(instance.port_offset))
    monkeypatch.setenv("ICACHE_BACKUP_RDB", "false")
    monkeypatch.setenv("ICACHE_BACKUP_LOCK_HOURS", "0")
    fill(cache, 100)

    def call(*arguments: str) -> Result:
        return CliRunner().invoke(main, ["backup", *arguments])

    return call


def words(result: Result) -> str:
    """What it printed, however the lines were broken."""
    return " ".join(result.stdout.split())


def test_run_list_verify_and_copy(icache: Any) -> None:
    planned = json.loads(icache("run", "--dry-run", "--json").stdout)
    assert planned["regions"] == {"first": "answers", "second": "answers"}
    before = json.loads(icache("list", "--json").stdout)["backups"]

    run = icache("run", "--json")
    assert run.exit_code == 0, run.output
    report = json.loads(run.stdout)
    name = report["details"]["exported"]["name"]
    listed = json.loads(icache("list", "--json").stdout)
    assert [row["name"] for row in listed["backups"]] == [name, *(row["name"] for row in before)]
    newest = listed["backups"][0]
    assert (newest["entries"], newest["regions"], newest["state"]) == (210, ["first", "second"], "good")

    again = icache("run", "--json", "--run-id", report["run_id"])
    assert json.loads(again.stdout)["details"]["exported"]["name"] == name
    verified = json.loads(icache("verify", "--dry-run", "--json").stdout)
    assert (verified["name"], verified["compared"], verified["marked"]) == (name, 210, [])
    assert json.loads(icache("copy", "--deep", "--json").stdout) == {"copied": {}, "missing": {}, "failed": {}}


def test_says_it_to_people_too(icache: Any) -> None:
    assert "good in first and second" in words(icache("run"))
    assert "good" in icache("list").stdout
    assert "entries restored and equal" in words(icache("verify"))
    assert "Every region that answers has all good backups." in icache("copy").stdout
    assert "this was a dry run" in icache("run", "--dry-run").stdout


def test_what_it_cannot_do_it_says_in_one_sentence(icache: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    unknown = icache("verify", "20200101T000000Z-000000000000")
    assert unknown.exit_code == 1
    assert "there is no backup '20200101T000000Z-000000000000'" in unknown.stderr
    assert "is no run of `icache backup run`" in icache("run", "--run-id", "x").stderr
    monkeypatch.setenv("ICACHE_PORT_OFFSET", str(free_port() % 10_000))
    away = icache("list")
    assert (away.exit_code, "S3 (http://127.0.0.1:" in away.stderr) == (1, True)
