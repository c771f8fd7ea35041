"""The parent of one pod's process: starts it, writes its log and its exit code, and needs no runner to do so.

It reads one JSON object from stdin (see launch.py) and leaves in `run_dir`:
    log             the output, as log_writer.py writes it
    process.json    pid and start time of the pod's process, once it runs
    exit.json       exit code and times, once it and everything it started are gone
Without the object (the runner died first) it starts nothing. Standard library only, and run with `python -S`, so that
a pod costs few milliseconds and megabytes.
"""

import ctypes
import json
import os
import selectors
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any

from local_stack.pod_runner.files import write_json
from local_stack.pod_runner.log_writer import LogWriter
from local_stack.pod_runner.process import identify

READ_BYTES = 64 * 1024
START_ERROR_EXIT_CODE = 128  # what container runtimes report when the command cannot be started
_PR_SET_CHILD_SUBREAPER = 36


def main() -> int:
    """Run the pod described on stdin to its end; return 1 when there is none."""
    try:
        spec = json.load(sys.stdin)
    except ValueError:
        return 1
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)
    run_pod(spec)
    return 0


def run_pod(spec: dict[str, Any]) -> None:
    """Start the command, follow it to its end and record how it ended."""
    run_dir = Path(spec["run_dir"])
    log = LogWriter(run_dir / "log", spec["log_bytes_max"])
    started_at = time.time()
    outcome = {"exit_code": START_ERROR_EXIT_CODE, "reason": "StartError"}
    forward = _SignalForwarder()
    try:
        child = _start(spec)
    except (OSError, ValueError) as error:
        outcome["message"] = f"cannot start {spec['argv'][0]!r}: {error}"
    else:
        _record_start(run_dir, child.pid, started_at)
        forward.to_group(child.pid)
        outcome = _outcome(_follow(child, log))
    log.close()
    write_json(run_dir / "exit.json", {**outcome, "started_at": started_at, "finished_at": time.time()})


def _start(spec: dict[str, Any]) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        spec["argv"],
        cwd=spec["cwd"],
        env=spec["env"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def _record_start(run_dir: Path, pid: int, started_at: float) -> None:
    identity = identify(pid)
    # A process that is over already has no identity to record; exit.json follows at once.
    if identity is not None:
        write_json(run_dir / "process.json", {**identity._asdict(), "started_at": started_at})


class _SignalForwarder:
    """Who stops the shim means the pod: signals go to the pod's group, the shim stays to record the exit code."""

    def __init__(self) -> None:
        self._group: int | None = None
        self._early: list[int] = []  # came before there was a process to send them to
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._forward)

    def to_group(self, group: int) -> None:
        self._group = group
        for number in self._early:
            self._forward(number, None)

    def _forward(self, number: int, _frame: FrameType | None) -> None:
        if self._group is None:
            self._early.append(number)
            return
        with suppress(ProcessLookupError):
            os.killpg(self._group, number)


def _follow(child: "subprocess.Popen[bytes]", log: LogWriter) -> int:
    """Copy the output until nobody can write any more; return the child's return code, as subprocess gives it."""
    assert child.stdout is not None
    output = child.stdout.fileno()
    end = os.pidfd_open(child.pid)
    with selectors.DefaultSelector() as selector:
        selector.register(output, selectors.EVENT_READ)
        selector.register(end, selectors.EVENT_READ)
        while selector.get_map():
            for key, _ in selector.select():
                if key.fd == end:
                    _clear_away(child)
                elif data := os.read(output, READ_BYTES):
                    log.feed(data)
                    continue
                selector.unregister(key.fd)
    return child.wait()


def _clear_away(child: "subprocess.Popen[bytes]") -> None:
    """Kill what the ended child left running, as a container's end would: first its group, then who left the group."""
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    # As a subreaper the shim is the parent of every orphan, so none escapes; each death may bring new orphans.
    while pids := Path(f"/proc/self/task/{os.getpid()}/children").read_text(encoding="ascii").split():
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
        with suppress(ChildProcessError):
            os.waitpid(-1, 0)


def _outcome(return_code: int) -> dict[str, Any]:
    if return_code < 0:
        return {"exit_code": 128 - return_code, "signal": -return_code, "reason": "Error"}
    return {"exit_code": return_code, "reason": "Error" if return_code else "Completed"}


if __name__ == "__main__":
    sys.exit(main())
