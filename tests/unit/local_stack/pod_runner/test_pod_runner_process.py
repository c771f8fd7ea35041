"""Processes by identity, and the shim by itself: it needs no runner."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from local_stack.pod_runner.process import ProcessIdentity, identify, is_alive, signal_group

DEADLINE_S = 15.0
Shim = Callable[..., "subprocess.Popen[bytes]"]


def wait_for(condition: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + DEADLINE_S
    while not (result := condition()):
        assert time.monotonic() < deadline, "the condition did not come true"
        time.sleep(0.01)
    return result


@pytest.fixture
def shim(tmp_path: Path) -> Iterator[Shim]:
    started: list[subprocess.Popen[bytes]] = []

    def start(*argv: str, **changes: Any) -> "subprocess.Popen[bytes]":
        spec = {"argv": argv, "cwd": str(tmp_path), "env": {"PATH": os.environ["PATH"]}, "run_dir": str(tmp_path)}
        child = subprocess.Popen([sys.executable, "-S", "-m", "local_stack.pod_runner.shim"], stdin=subprocess.PIPE)
        started.append(child)
        assert child.stdin is not None
        with child.stdin:
            child.stdin.write(json.dumps({**spec, "log_bytes_max": 100_000, **changes}).encode())
        return child

    yield start
    for child in started:
        child.kill()
        child.wait()


def result(tmp_path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((tmp_path / "exit.json").read_text())
    return content


def test_identity_knows_the_living_from_zombies_and_later_processes() -> None:
    child = subprocess.Popen(["sleep", "60"], start_new_session=True)
    found = identify(child.pid)
    assert found is not None
    assert is_alive(found)
    assert not is_alive(ProcessIdentity(found.pid, found.start_ticks + 1))
    assert not signal_group(ProcessIdentity(found.pid, found.start_ticks + 1), signal.SIGKILL)
    assert signal_group(found, signal.SIGKILL)
    wait_for(lambda: identify(child.pid) is None)  # still unreaped: a zombie
    child.wait()
    assert not is_alive(found)


@pytest.mark.parametrize(
    ("command", "outcome"),
    [
        ("exit 0", {"exit_code": 0, "reason": "Completed"}),
        ("exit 3", {"exit_code": 3, "reason": "Error"}),
        ("kill -9 $$", {"exit_code": 137, "signal": 9, "reason": "Error"}),
    ],
)
def test_exit_codes_are_recorded(shim: Shim, tmp_path: Path, command: str, outcome: dict[str, Any]) -> None:
    assert shim("sh", "-c", command).wait(DEADLINE_S) == 0
    recorded = result(tmp_path)
    assert recorded["finished_at"] >= recorded["started_at"]
    assert {key: recorded[key] for key in outcome} == outcome


@pytest.mark.parametrize(
    "changes", [{"argv": ["/no/such/command"]}, {"argv": ["true"], "cwd": "/no/such/folder"}, {"argv": ["/"]}]
)
def test_command_that_cannot_start_is_recorded(shim: Shim, tmp_path: Path, changes: dict[str, Any]) -> None:
    shim(**changes).wait(DEADLINE_S)
    assert result(tmp_path)["exit_code"] == 128
    assert result(tmp_path)["reason"] == "StartError"
    assert "cannot start" in result(tmp_path)["message"]
    assert not (tmp_path / "process.json").exists()


def test_without_input_nothing_is_started(tmp_path: Path) -> None:
    command = [sys.executable, "-S", "-m", "local_stack.pod_runner.shim"]
    assert subprocess.run(command, stdin=subprocess.DEVNULL, timeout=DEADLINE_S).returncode == 1
    assert list(tmp_path.iterdir()) == []


def test_what_the_command_leaves_behind_is_killed(shim: Shim, tmp_path: Path) -> None:
    # One stays in the group, one leaves it for a session of its own; both hold the output open.
    command = "sleep 600 & echo $!; setsid sh -c 'echo $$; exec sleep 600' & sleep 0.3; exit 5"
    shim("sh", "-c", command).wait(DEADLINE_S)
    pids = [int(line.split()[-1]) for line in (tmp_path / "log").read_text().splitlines()]
    assert len(pids) == 2
    assert [identify(pid) for pid in pids] == [None, None]
    assert result(tmp_path)["exit_code"] == 5


def test_term_of_the_shim_goes_to_the_command(shim: Shim, tmp_path: Path) -> None:
    child = shim("sh", "-c", "trap 'echo caught; exit 7' TERM; echo ready; while :; do sleep 0.05; done")
    wait_for(lambda: (tmp_path / "log").exists() and "ready" in (tmp_path / "log").read_text())
    child.terminate()
    child.wait(DEADLINE_S)
    assert result(tmp_path)["exit_code"] == 7
    assert "caught" in (tmp_path / "log").read_text()
