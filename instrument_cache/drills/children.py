"""The servers of a drill: child processes that die with it, also when it is killed."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from instrument_cache import scratch
from instrument_cache.errors import DrillFailed

_TIED_CHILD: Final = Path(scratch.__file__).with_name("tied_child.py")
_LOG_BYTES_SHOWN: Final = 600
_STOP_S_MAX: Final = 3.0
_POLL_S: Final = 0.02


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def await_true(condition: Callable[[], object], timeout_s: float, what: str) -> None:
    """Poll until `condition()` is true; an exception counts as not yet. Raises DrillFailed after `timeout_s`."""
    deadline_s, last = time.monotonic() + timeout_s, ""
    while time.monotonic() < deadline_s:
        try:
            if condition():
                return
        except Exception as error:
            last = f": {error}"
        time.sleep(_POLL_S)
    raise DrillFailed(f"{what} did not come within {timeout_s:g} s{last}")


class Children:
    """`with Children(folder) as children:`; all that it started ends with the block.

    To be used by one thread that lives as long as the block: the kernel ends a child with the thread that started it.
    The log of each child is NAME.log in the folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for name in reversed(list(self._running)):
            self._stop(self._running.pop(name))

    def start(self, name: str, command: Sequence[str], environment: Mapping[str, str] | None = None) -> None:
        """Start a server under a name that is not in use. Raises DrillFailed if its program is missing."""
        program = shutil.which(command[0])
        if program is None:
            raise DrillFailed(f"{command[0]} is not in PATH; install it (Debian: apt install redis-server)")
        tied = [sys.executable, "-I", "-S", str(_TIED_CHILD), str(os.getpid()), program, *command[1:]]
        with self._log(name).open("ab") as log:
            self._running[name] = subprocess.Popen(
                tied,
                env=None if environment is None else dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def kill(self, name: str) -> None:
        """kill -9, and forget it."""
        child = self._running.pop(name)
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()

    def await_ready(self, name: str, is_ready: Callable[[], object], timeout_s: float) -> None:
        """Raises DrillFailed, with the end of its log, if it ends or is not ready in time."""

        def ready() -> bool:
            if self._running[name].poll() is not None:
                raise DrillFailed(f"it ended with code {self._running[name].returncode}")
            return bool(is_ready())

        try:
            await_true(ready, timeout_s, name)
        except DrillFailed as error:
            raise DrillFailed(f"{error}; its log ends: {self._end_of_log(name)}") from None

    def _stop(self, child: subprocess.Popen[bytes]) -> None:
        """Its workers end with it if it is asked; the whole group is killed if it does not listen."""
        with suppress(ProcessLookupError):
            child.terminate()
        with suppress(subprocess.TimeoutExpired):
            child.wait(_STOP_S_MAX)
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()

    def _log(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    def _end_of_log(self, name: str) -> str:
        return self._log(name).read_bytes()[-_LOG_BYTES_SHOWN:].decode(errors="replace").strip() or "no output"
