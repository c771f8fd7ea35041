"""The runner's side of a shim: spawn it, tell it what to run, wait for its end, stop its pod, read how it ended."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from local_stack.pod_runner.files import read_json
from local_stack.pod_runner.launch import instance_environment
from local_stack.pod_runner.lifecycle import LOST_EXIT_CODE, Outcome
from local_stack.pod_runner.process import ProcessIdentity, identify, is_alive, signal_group
from local_stack.pod_runner.status import Json

START_POLL_S = 0.02
_PROJECT_ROOT = Path(__file__).parents[2]


class Start(NamedTuple):
    """The pod's own process; it leads the process group."""

    leader: ProcessIdentity
    started_at: float  # seconds since the epoch


class Shims:
    """The shims that this runner spawned; those of an earlier runner are nobody's children and need no care."""

    def __init__(self) -> None:
        self._children: dict[int, subprocess.Popen[bytes]] = {}

    async def spawn(self, pod_name: str, run_dir: Path) -> ProcessIdentity:
        """Start a shim that waits to be told what to run."""
        child = await asyncio.to_thread(_spawn, pod_name, run_dir)
        self._children[child.pid] = child
        # A shim that is gone already gets a start time that no process has: it will be found lost.
        return identify(child.pid) or ProcessIdentity(child.pid, -1)

    async def tell(self, shim: ProcessIdentity, launch: Json) -> None:
        """Hand the shim its pod."""
        await asyncio.to_thread(_write_input, self._children[shim.pid], json.dumps(launch).encode())

    def abandon(self, shim: ProcessIdentity) -> None:
        """Let a shim go that was told nothing: it ends without starting anything."""
        child = self._children.pop(shim.pid)
        assert child.stdin is not None
        child.stdin.close()
        child.wait()

    def reap(self, shim: ProcessIdentity) -> None:
        """Collect an ended shim."""
        if child := self._children.pop(shim.pid, None):
            child.wait()


class PodProcess:
    """One started pod, seen through its shim and the files in `run_dir`; works for any runner's shim."""

    def __init__(self, shim: ProcessIdentity, run_dir: Path) -> None:
        self._shim = shim
        self._run_dir = run_dir

    def start(self) -> Start | None:
        """Return the pod's process; None when it never came to run."""
        found = read_json(self._run_dir / "process.json")
        return Start(ProcessIdentity(found["pid"], found["start_ticks"]), found["started_at"]) if found else None

    async def started(self) -> None:
        """Wait until the process runs, or until it is certain that it will not."""
        while self.start() is None and is_alive(self._shim):
            await asyncio.sleep(START_POLL_S)

    async def ended(self) -> None:
        """Wait for the end of the pod's process and of all that it started."""
        await wait_exit(self._shim)

    async def stop(self, grace_s: float) -> None:
        """Send TERM to the process group and, if anything is left after `grace_s`, KILL; return when all is over."""
        if grace_s > 0:
            self._signal(signal.SIGTERM)
            with suppress(TimeoutError):
                await asyncio.wait_for(self.ended(), grace_s)
                return
        self._signal(signal.SIGKILL)
        await self.ended()

    def outcome(self) -> Outcome:
        """Return how an ended pod ended; without a recorded exit code it is lost, and what is left of it is killed."""
        if found := read_json(self._run_dir / "exit.json"):
            return Outcome(**found)
        self._signal(signal.SIGKILL)
        start, now = self.start(), time.time()
        return Outcome(LOST_EXIT_CODE, "Lost", start.started_at if start else now, now, self._lost_message())

    def _signal(self, number: int) -> None:
        if start := self.start():
            signal_group(start.leader, number)

    def _lost_message(self) -> str:
        said = (self._run_dir / "shim.log").read_text(errors="replace").strip().splitlines()
        return (
            f"The process that watched this pod (pid {self._shim.pid}) vanished without recording an exit code: it "
            "was killed, or the machine restarted. Whether the pod did its work is unknown; run it again. "
            f"{''.join(said[-1:])}"
        ).strip()


async def wait_exit(process: ProcessIdentity) -> None:
    """Return when exactly this process is over; it need not be a child."""
    try:
        descriptor = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return
    loop = asyncio.get_running_loop()
    over = asyncio.Event()
    loop.add_reader(descriptor, over.set)
    try:
        # The descriptor may be of a later process with the same pid; of the right one it stays so.
        if is_alive(process):
            await over.wait()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)


def _spawn(pod_name: str, run_dir: Path) -> "subprocess.Popen[bytes]":
    with (run_dir / "shim.log").open("ab") as errors:
        return subprocess.Popen(
            # -S: the standard library is all it needs. The name is there for who reads `ps`.
            [sys.executable, "-S", "-m", "local_stack.pod_runner.shim", pod_name],
            cwd=_PROJECT_ROOT,
            env={"LANG": "C.UTF-8", **instance_environment()},
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            start_new_session=True,
        )


def _write_input(child: "subprocess.Popen[bytes]", data: bytes) -> None:
    assert child.stdin is not None
    # A shim that died before it read its input shows as lost.
    with suppress(BrokenPipeError), child.stdin as stdin:
        stdin.write(data)
