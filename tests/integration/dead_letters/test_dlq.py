"""`icache dlq` on real servers, as an operator and as a program use it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from feed.topics import ensure_topics
from instrument_cache.connections import redis_client
from instrument_cache.dead_letters.service import DeadLetters
from instrument_cache.reject_gate import RejectGate, RejectLimits, current_alarm
from instrument_cache.settings import Environment
from local_stack.cli import main
from local_stack.instance import Instance
from tests.integration.dead_letters.letters import Job, LetterBox, V
from tests.unit.dead_letters.letters import APPLE, MICROSOFT, put


class Operator:
    """Runs `icache dlq` on the instance."""

    def __init__(self, instance: Instance) -> None:
        self._env = {
            "ICACHE_HOME": str(instance.home),
            "ICACHE_TOOLS": str(instance.tools),
            "ICACHE_PORT_OFFSET": str(instance.port_offset),
            "COLUMNS": "200",
        }

    def run(self, *arguments: str, answer: str = "") -> Result:
        return CliRunner().invoke(main, ["dlq", *arguments], env=self._env, input=answer)

    def json(self, *arguments: str, exit_code: int = 0) -> Any:
        done = self.run(*arguments, "--json")
        assert done.exit_code == exit_code, done.output
        return json.loads(done.stdout)


@pytest.fixture
def operator(instance: Instance) -> Operator:
    return Operator(instance)


@pytest.fixture
def instruments(instance: Instance) -> DeadLetters:
    ensure_topics(instance.kafka, "instruments", partitions=2, replication=1)
    return DeadLetters(Environment(instance.settings()))


def test_an_operators_day(operator: Operator, instruments: DeadLetters, tmp_path: Path) -> None:
    box = LetterBox(instruments)
    future = box.add(put(APPLE, V, name="[red]Apple[/red]"))
    wrong = box.add(put("wrong", V), "invalid_cusip", partition=1)
    broken = box.add(b"{broken\x1b[2J\xff", "malformed_json")

    listed = operator.json("list")
    assert (listed["total"], {row["state"] for row in listed["letters"]}) == (3, {"open"})
    assert operator.json("list", "--key", APPLE)["letters"][0]["position"] == future
    assert operator.json("list", "--limit", "1")["total"] == 3
    assert "2 of 3 letters" in operator.run("list", "--limit", "2").output

    stats = operator.json("stats")
    assert stats["by_code"] == {"version_in_future": 1, "invalid_cusip": 1, "malformed_json": 1}
    assert "33.3%" in operator.run("stats").output

    (shown,) = operator.json("show", broken)
    assert (shown["text"], shown["replay"]) == (None, None)
    output = operator.run("show", broken).output
    assert "{broken" in output
    assert "\x1b[2J" not in output
    assert "[red]Apple[/red]" in operator.run("show", future).output
    missing = operator.run("show", "instruments-0-999")
    assert (missing.exit_code, "there is no dead letter" in missing.output) == (1, True)

    patch = tmp_path / "fix.json"
    patch.write_text(json.dumps([{"op": "replace", "path": "/record/cusip", "value": MICROSOFT}]))
    plan = operator.json("replay", "--code", "invalid_cusip", "--patch", str(patch), "--dry-run")
    assert (plan["dry_run"], plan["counts"]) == (True, {"applied": 1})
    assert "Nothing was written" in operator.run("replay", "--dry-run").output
    refused = operator.run("replay", answer="n\n")
    assert (refused.exit_code, box.changes()) == (1, [])

    with Job(instruments).running():
        done = operator.json("replay", "--code", "invalid_cusip", "--patch", str(patch), "--yes")
        assert [(line["position"], line["outcome"]) for line in done["letters"]] == [(wrong, "applied")]
        asked = operator.run("replay", "--code", "version_in_future", answer="y\n")
        assert asked.exit_code == 0, asked.output
        assert "is complete: 1 applied" in asked.output
        left = operator.run("replay", "--yes")
        assert (left.exit_code, "1 rejected" in left.output) == (1, True)
    (shown,) = operator.json("show", wrong)
    assert (shown["state"], shown["replay"]["outcome"]) == ("replayed", "applied")
    assert operator.json("list", "--state", "open")["letters"][0]["position"] == broken
    assert "There is nothing to replay" in operator.run("replay", "--key", APPLE, "--yes").output

    assert operator.json("archive")["letters"] == 3
    assert "Archived 0 letters" in operator.run("archive").output
    assert operator.json("list", "--from", "archive")["total"] == 3


def test_resume_clears_the_alarm(operator: Operator, instruments: DeadLetters, instance: Instance) -> None:
    client = redis_client(instance.redis_url, name="test")
    RejectGate(client, "instruments", RejectLimits(records_min=1)).note(10, ["invalid_cusip: no"] * 9)
    assert current_alarm(client, "instruments") is not None
    assert operator.json("resume") == {"dataset": "instruments", "cleared": True}
    assert current_alarm(client, "instruments") is None
    assert "There is no alarm" in operator.run("resume").output
