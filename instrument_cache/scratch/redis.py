"""A Redis of a moment, which dies with its parent even on kill -9: to restore a backup into it and compare."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import redis
from redis.exceptions import RedisError

from instrument_cache.connections import redis_client
from instrument_cache.errors import ScratchUnavailable
from instrument_cache.scratch.folder import scratch_folder

MEMORY_BYTES_MAX: Final = 2_000_000_000
START_S_MAX: Final = 60.0
# Log, socket and what the file system itself takes: without so much not even these can be written.
_FREE_BYTES_MIN: Final = 16_000_000
_TIED_CHILD: Final = Path(__file__).with_name("tied_child.py")
_POLL_S: Final = 0.02
_LOG_BYTES_SHOWN: Final = 600


@dataclass(frozen=True, slots=True)
class ScratchRedis:
    """Where it answers, its process, and its folder."""

    url: str
    pid: int
    folder: Path

    def client(self, timeout_s: float = 30.0) -> redis.Redis:
        """A client. A write beyond the memory limit fails with redis.exceptions.OutOfMemoryError."""
        return redis_client(self.url, name="scratch", timeout_s=timeout_s)


@contextmanager
def scratch_redis(
    *,
    memory_bytes_max: int = MEMORY_BYTES_MAX,
    rdb: Path | None = None,
    parent: Path | None = None,
    start_s_max: float = START_S_MAX,
) -> Iterator[ScratchRedis]:
    """A Redis on a unix socket in a scratch folder, which keeps nothing on disk; ended and removed with the block.

    `rdb`: a snapshot that it starts from, copied. `parent`: where the folder is made. To be entered by a thread that
    lives as long as the block: the kernel ends the child with the thread that started it. Raises ScratchUnavailable if
    the binary is missing, the disk is full, or it does not answer within `start_s_max`.
    """
    binary = shutil.which("redis-server")
    if binary is None:
        raise ScratchUnavailable("redis-server is not in PATH; install it (Debian: apt install redis-server)")
    free_bytes_min = _FREE_BYTES_MIN + (rdb.stat().st_size if rdb else 0)
    with scratch_folder(free_bytes_min, parent) as folder:
        _copy(rdb, folder)
        child = _start(binary, folder, memory_bytes_max)
        try:
            scratch = ScratchRedis(f"unix://{folder}/redis.sock", child.pid, folder)
            _await_ready(scratch, child, start_s_max)
            yield scratch
        finally:
            with suppress(ProcessLookupError):
                os.kill(child.pid, signal.SIGKILL)
            child.wait()


def _copy(rdb: Path | None, folder: Path) -> None:
    if rdb is None:
        return
    try:
        shutil.copyfile(rdb, folder / "dump.rdb")
    except OSError as error:
        raise ScratchUnavailable(f"{rdb} was not copied to {folder}: {error.strerror}; is the disk full?") from error


def _start(binary: str, folder: Path, memory_bytes_max: int) -> subprocess.Popen[bytes]:
    options = {
        "port": "0",
        "unixsocket": str(folder / "redis.sock"),
        "unixsocketperm": "700",
        "dir": str(folder),
        "save": "",
        "appendonly": "no",
        "maxmemory": str(memory_bytes_max),
        "maxmemory-policy": "noeviction",
        "daemonize": "no",
    }
    arguments = [text for name, value in options.items() for text in (f"--{name}", value)]
    tied = [sys.executable, "-I", "-S", str(_TIED_CHILD), str(os.getpid()), binary]
    try:
        with (folder / "redis.log").open("ab") as log:
            return subprocess.Popen(
                [*tied, *arguments], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
    except OSError as error:
        raise ScratchUnavailable(f"{binary} does not start in {folder}: {error.strerror}") from error


def _await_ready(scratch: ScratchRedis, child: subprocess.Popen[bytes], start_s_max: float) -> None:
    """It answers PING, also while it loads; only then with PONG."""
    deadline_s = time.monotonic() + start_s_max
    client = scratch.client(timeout_s=1.0)
    while time.monotonic() < deadline_s:
        if child.poll() is not None:
            raise ScratchUnavailable(f"redis-server ended with code {child.returncode}: {_log(scratch.folder)}")
        with suppress(RedisError):
            client.ping()
            client.close()
            return
        time.sleep(_POLL_S)
    raise ScratchUnavailable(f"redis-server does not answer within {start_s_max:g} s: {_log(scratch.folder)}")


def _log(folder: Path) -> str:
    """The end of what it said."""
    try:
        return (folder / "redis.log").read_bytes()[-_LOG_BYTES_SHOWN:].decode(errors="replace").strip() or "no output"
    except OSError as error:
        return f"its log cannot be read: {error.strerror}"
