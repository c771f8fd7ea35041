"""`icache restore` and `icache epoch`, as people and programs call them."""

from __future__ import annotations

import json
import os
import subprocess

import pytest

from instrument_cache.settings import Environment
from local_stack.instance import PROJECT, Instance
from tests.integration.restore.world import V, World


class Shell:
    """Calls commands of the instance."""

    def __init__(self, instance: Instance) -> None:
        own = {"ICACHE_HOME": str(instance.home), "ICACHE_PORT_OFFSET": str(instance.port_offset)}
        self._environment = {**os.environ, **own, "ICACHE_TOOLS": str(instance.tools), "COLUMNS": "200"}

    def __call__(self, *arguments: str, answer: str = "") -> subprocess.CompletedProcess[str]:
        command = [str(PROJECT / "icache"), *arguments]
        return subprocess.run(command, env=self._environment, input=answer, capture_output=True, text=True, timeout=60)


@pytest.fixture
def shell(instance: Instance, simulated: None) -> Shell:
    return Shell(instance)


@pytest.fixture
def world(instance: Instance) -> World:
    """The instance's own dataset and buckets."""
    own = {"ICACHE_BACKUP_LOCK_HOURS": "0", "ICACHE_BACKUP_RDB": "false"}
    return World(Environment({**instance.settings(), **own}))


def test_it_shows_asks_does_and_tells(world: World, shell: Shell) -> None:
    world.publish(range(100))
    world.put(range(100))
    world.apply()
    expected = world.dump()
    name = world.backup()
    world.client.flushall()

    planned = json.loads(shell("restore", "--dry-run", "--json").stdout)
    assert (planned["dry_run"], planned["plan"]["backup"]) == (True, name)
    assert (planned["plan"]["counts"]["applied"], planned["restored"]) == (200, None)
    assert world.dump() == {}

    refused = shell("restore", name, answer="n\n")
    assert refused.returncode == 1
    assert "would become of them now: 200 read, 200 applied" in refused.stdout
    assert world.dump() == {}

    done = shell("restore", name, "--yes", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    document = json.loads(done.stdout)
    assert document["restored"]["applied"] == 200
    assert "The cache equals its source" in document["reconciled"]
    assert world.dump() == expected


def test_a_roll_back_pins_an_epoch_until_it_is_unpinned(world: World, shell: Shell) -> None:
    world.put(range(10))
    world.apply()
    name = world.backup()
    world.put(range(10), V + 5)
    world.apply()
    assert json.loads(shell("epoch", "show", "--json").stdout)["number"] == 0
    without = shell("restore", "--roll-back", "--yes")
    assert without.returncode == 1
    assert "a roll back needs a reason" in without.stderr

    done = shell("restore", name, "--roll-back", "--reason", "a bad load", answer="y\n")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "newer data is overwritten: 20 replaced, 0 removed" in done.stdout + done.stderr
    shown = shell("epoch", "show").stdout
    assert "epoch 1, pinned" in shown
    assert "a bad load" in shown
    assert "epoch 1, not pinned" in shell("epoch", "unpin").stdout


def test_what_is_refused_is_said_in_one_sentence(world: World, shell: Shell) -> None:
    failed = shell("restore", "20251121T181500Z-3f9c2a1b7d04", "--yes")
    assert failed.returncode == 1
    assert "there is no backup '20251121T181500Z-3f9c2a1b7d04' of instruments" in failed.stderr
    assert "Traceback" not in failed.stderr
