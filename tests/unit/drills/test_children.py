"""Servers of a drill end with it, whatever ends it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from instrument_cache.drills.children import Children, await_true, free_port
from instrument_cache.errors import DrillFailed
from local_stack.processes import is_running
from tests.servers import wait_until
from tests.stack import PROJECT

_PROGRAM = """
import sys, time
from pathlib import Path
from instrument_cache.drills.children import Children
with Children(Path(sys.argv[1])) as children:
    children.start("sleeper", ["sleep", "100"])
    print(children._running["sleeper"].pid, flush=True)
    time.sleep(100)
"""


def test_they_end_with_the_block(tmp_path: Path) -> None:
    with Children(tmp_path) as children:
        children.start("one", ["sleep", "100"])
        children.start("two", ["sleep", "100"])
        pids = [child.pid for child in children._running.values()]
        children.kill("one")
        assert [is_running(pid) for pid in pids] == [False, True]
    assert not is_running(pids[1])


def test_they_end_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", _PROGRAM, str(tmp_path)], cwd=PROJECT, stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    assert is_running(child)
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    wait_until(lambda: not is_running(child), 10, what="the child's end")


def test_a_server_that_ends_is_told_with_its_log(tmp_path: Path) -> None:
    with Children(tmp_path) as children:
        children.start("talker", ["sh", "-c", "echo out of room; exit 3"])
        with pytest.raises(DrillFailed, match=r"(?s)talker did not come .* code 3; its log ends: out of room"):
            children.await_ready("talker", lambda: False, 1.0)


def test_a_missing_program_is_named(tmp_path: Path) -> None:
    with Children(tmp_path) as children, pytest.raises(DrillFailed, match="no-such-program is not in PATH; install it"):
        children.start("x", ["no-such-program"])


def test_what_does_not_come_in_time() -> None:
    with pytest.raises(DrillFailed, match=r"the end of time did not come within 0\.1 s: .* by zero"):
        await_true(lambda: 1 // 0, 0.1, "the end of time")
    assert 0 < free_port() < 65536
