"""A Redis of a moment: it keeps its limit, and nothing of it outlives its parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import redis
from redis.exceptions import OutOfMemoryError

from instrument_cache.errors import ScratchUnavailable
from instrument_cache.scratch import folder as scratch_folders
from instrument_cache.scratch.folder import scratch_folder
from instrument_cache.scratch.redis import scratch_redis
from local_stack.processes import is_running
from tests.servers import wait_until

_HOLD = """
import sys, time
from pathlib import Path
from instrument_cache.scratch.redis import scratch_redis
with scratch_redis(parent=Path(sys.argv[1])) as scratch:
    print(scratch.pid, flush=True)
    time.sleep(60)
"""


def test_it_answers_and_leaves_nothing(tmp_path: Path) -> None:
    with scratch_redis(parent=tmp_path) as scratch:
        client = scratch.client()
        client.set("a", "b")
        assert client.get("a") == b"b"
        assert scratch.folder.stat().st_mode & 0o777 == 0o700
        assert client.config_get("save") == {"save": ""}
    assert not is_running(scratch.pid)
    assert list(tmp_path.iterdir()) == []


def _fill(client: redis.Redis) -> None:
    for number in range(100):
        client.set(str(number), b"x" * 1_000_000)


def test_beyond_its_memory_a_write_fails(tmp_path: Path) -> None:
    with scratch_redis(memory_bytes_max=5_000_000, parent=tmp_path) as scratch, pytest.raises(OutOfMemoryError):
        _fill(scratch.client())


def test_it_starts_from_a_snapshot(tmp_path: Path) -> None:
    with scratch_redis(parent=tmp_path) as first:
        first.client().mset({str(number): "x" for number in range(100)})
        first.client().save()
        kept = (first.folder / "dump.rdb").rename(tmp_path / "kept.rdb")
    with scratch_redis(rdb=kept, parent=tmp_path) as second:
        assert second.client().dbsize() == 100


def test_it_dies_with_a_parent_that_is_killed_and_the_next_one_cleans_up(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _HOLD, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert is_running(pid)
        parent.send_signal(signal.SIGKILL)
    wait_until(lambda: not is_running(pid), 5, "its end")
    (left,) = tmp_path.iterdir()
    with scratch_folder(1, tmp_path) as own:
        assert list(tmp_path.iterdir()) == [own]
    assert left != own


def test_a_folder_in_use_is_left_alone(tmp_path: Path) -> None:
    with scratch_folder(1, tmp_path) as first, scratch_folder(1, tmp_path):
        assert first.exists()


def test_a_missing_binary_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ScratchUnavailable, match="redis-server is not in PATH; install it"), scratch_redis():
        pass


def test_a_full_disk_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    free = os.statvfs(tmp_path).f_bavail * os.statvfs(tmp_path).f_frsize
    with pytest.raises(ScratchUnavailable, match=r"MB free and \d+ MB are needed"), scratch_folder(2 * free, tmp_path):
        pass

    def full(**given: object) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(scratch_folders.tempfile, "mkdtemp", full)
    with pytest.raises(ScratchUnavailable, match="No space left on device"), scratch_redis(parent=tmp_path):
        pass


def test_a_redis_that_does_not_start_says_why(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    bad = tmp_path / "bad.rdb"
    bad.write_bytes(b"no snapshot")
    with pytest.raises(ScratchUnavailable, match=r"(?s)ended with code 1: .*"), scratch_redis(rdb=bad, parent=tmp_path):
        pass
    assert list(tmp_path.iterdir()) == [bad]


def test_the_environment_has_the_last_word_on_where(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with scratch_folder(1) as folder:
        assert folder.parent == tmp_path
