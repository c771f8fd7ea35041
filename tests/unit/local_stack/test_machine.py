"""What the stack says when the machine or the settings cannot carry it, and how it finds its processes."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from instrument_cache.errors import InstrumentCacheError, SettingsError
from instrument_cache.settings import Environment
from local_stack.instance import PORTS, SECRETS, Instance
from local_stack.processes import end, is_running, marked
from local_stack.supervisor import Supervisor
from local_stack.up import check_machine
from tests.servers import wait_until


class Usage(NamedTuple):
    free: int


def instance(tmp_path: Path, **settings: str) -> Instance:
    return Instance.from_environment(Environment({**os.environ, "ICACHE_HOME": str(tmp_path), **settings}))


def test_a_full_disk_is_told_with_the_way_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(free=1_000_000))
    with pytest.raises(InstrumentCacheError, match=r"1 MB of disk left.*ICACHE_HOME"):
        check_machine(instance(tmp_path))


def test_a_missing_tool_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InstrumentCacheError, match="java is not installed"):
        check_machine(instance(tmp_path))


def test_a_missing_installation_is_named(tmp_path: Path) -> None:
    with pytest.raises(InstrumentCacheError, match="`make setup` makes it"):
        check_machine(instance(tmp_path, ICACHE_TOOLS=str(tmp_path / "nothing")))


@pytest.mark.parametrize("offset", ["x", "-1", "60000", "1.5"])
def test_a_bad_offset_names_the_value_and_the_range(tmp_path: Path, offset: str) -> None:
    with pytest.raises(SettingsError, match=f"ICACHE_PORT_OFFSET is '{offset}'"):
        instance(tmp_path, ICACHE_PORT_OFFSET=offset)


def test_a_home_too_long_for_a_socket_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InstrumentCacheError, match="choose a shorter path"):
        Supervisor(instance(tmp_path / ("x" * 100)))


def test_one_offset_moves_every_port_and_no_two_ports_are_the_same(tmp_path: Path) -> None:
    moved = instance(tmp_path, ICACHE_PORT_OFFSET="100")
    assert {name: moved.port(name) - 100 for name in PORTS} == PORTS
    assert len(set(PORTS.values())) == len(PORTS)


def test_secrets_are_made_once_and_are_private(tmp_path: Path) -> None:
    one = instance(tmp_path)
    one.make_secrets()
    first = {name: one.secret(name) for name in SECRETS}
    one.make_secrets()
    assert {name: one.secret(name) for name in SECRETS} == first
    assert len(set(first.values())) == len(SECRETS)
    assert all((tmp_path / "secrets" / name).stat().st_mode & 0o777 == 0o600 for name in SECRETS)


def test_an_orphan_is_found_by_its_mark_and_ended(tmp_path: Path) -> None:
    mark = {**os.environ, "ICACHE_INSTANCE": str(tmp_path), "ICACHE_COMPONENT": "part"}
    script = "import subprocess, sys; print(subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL).pid)"
    command = [sys.executable, "-c", script, "sleep", "60"]
    parent = subprocess.run(command, env=mark, stdout=subprocess.PIPE, text=True, check=True)
    orphan = int(parent.stdout.split()[0])
    wait_until(lambda: orphan in marked(str(tmp_path)), what="the orphan")
    assert marked(str(tmp_path), "part") == {orphan}
    assert marked(str(tmp_path), "other") == set()
    assert end({orphan}, grace_s=5) == 1
    assert not is_running(orphan)


def test_a_process_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True); time.sleep(60)"
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert child.stdout is not None
    child.stdout.readline()
    end({child.pid}, grace_s=0.2)
    assert child.wait(5) == -signal.SIGKILL
    child.stdout.close()
