"""A restore whose worker is killed, or whose Redis hangs or fails over, and what the next try makes of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from instrument_cache.epoch import read_epoch
from instrument_cache.restore.counts import Counts
from instrument_cache.restore.plan import Plan
from instrument_cache.settings import Environment
from tests.integration.lookup_app.sentinels import Sentinels
from tests.integration.restore.world import V, World
from tests.servers import wait_until


def killed_on_its_way(world: World, plan: Plan) -> None:
    command = [sys.executable, "-m", "tests.integration.restore.interrupted", msgspec.json.encode(plan).decode()]
    environment = {**os.environ, **world.env.variables}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert b"100\n" in iter(child.stdout.readline, b"")  # the log is printed too
        child.send_signal(signal.SIGKILL)


def test_a_killed_restore_is_done_again(world: World) -> None:
    world.put(range(200))
    world.apply()
    expected = world.dump()
    world.backup()
    world.client.flushall()
    plan = world.plan()
    killed_on_its_way(world, plan)
    assert 0 < len(world.dump()) < len(expected)
    # The dead try's lock is this run's own.
    done = world.restores.restore(plan)
    assert (done.applied, done.duplicate) == (300, 100)
    assert world.dump() == expected


def test_a_killed_roll_back_goes_on_in_its_epoch(world: World) -> None:
    world.put(range(200))
    world.apply()
    expected = world.dump()
    world.backup()
    world.put(range(200), V + 5)
    world.put(range(200, 220), V + 5)
    world.apply()
    plan = world.plan(mode="roll back to", reason="a bad load")
    killed_on_its_way(world, plan)
    opened = read_epoch(world.client, world.dataset)
    assert (opened.number, opened.pinned) == (1, True)
    done = world.restores.restore(plan)
    assert (done.replaced, done.duplicate, done.removed) == (300, 100, 40)
    assert read_epoch(world.client, world.dataset) == opened
    after = world.dump()
    assert {key: after[key] for key in expected} == expected


class Faults:
    """Progress that does something to Redis after the first chunks."""

    def __init__(self, *faults: Callable[[], None]) -> None:
        self._faults = iter(faults)

    def __call__(self, counts: Counts) -> None:
        next(self._faults, lambda: None)()


def test_a_redis_that_hangs_is_waited_for(world: World) -> None:
    world.put(range(3000))
    world.apply()
    expected = world.dump()
    world.backup()
    world.client.flushall()
    plan = world.plan()
    pid = world.client.info("server")["process_id"]

    def hang() -> None:
        os.kill(pid, signal.SIGSTOP)
        threading.Timer(1.5, os.kill, (pid, signal.SIGCONT)).start()

    assert world.restores.restore(plan, Faults(hang)).read == 6000
    assert world.dump() == expected


@pytest.mark.timeout(120)
def test_nothing_is_missing_after_a_fail_over(env: Environment, tmp_path: Path) -> None:
    folder = tmp_path / "sentinels"
    folder.mkdir()
    with Sentinels(folder) as sentinels:
        world = World(Environment({**env.variables, "ICACHE_REDIS_URL": sentinels.url}))
        world.put(range(5000))
        world.apply()
        expected = world.dump()
        world.backup()
        world.client.flushall()
        wait_until(lambda: sentinels.replica.admin.dbsize() == 0, 10, "an empty replica")
        plan = world.plan()

        replica = sentinels.replica.admin.info("server")["process_id"]

        def freeze() -> None:
            os.kill(replica, signal.SIGSTOP)

        def kill() -> None:
            # What the master took since is lost with it.
            sentinels.master.kill()
            os.kill(replica, signal.SIGCONT)

        done = world.restores.restore(plan, Faults(freeze, kill))
        assert world.client.info("server")["process_id"] == replica
        assert world.dump() == expected
        assert done.duplicate > 0  # it was gone through twice
