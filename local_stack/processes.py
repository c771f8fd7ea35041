"""Finds the processes of an instance by the mark in their environment, also those whose parent was killed."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterable
from pathlib import Path


def marked(instance: str, component: str | None = None) -> set[int]:
    """Process ids whose environment says ICACHE_INSTANCE=instance (and ICACHE_COMPONENT=component), without our own."""
    wanted = {f"ICACHE_INSTANCE={instance}".encode()}
    if component is not None:
        wanted.add(f"ICACHE_COMPONENT={component}".encode())
    return {pid for pid in _all_pids() if wanted <= _environment_of(pid)} - _ancestors(os.getpid())


def end(pids: Iterable[int], grace_s: float) -> int:
    """SIGTERM, wait up to `grace_s`, then SIGKILL. Returns how many there were."""
    pids = set(pids)
    _signal(pids, signal.SIGTERM)
    deadline = time.monotonic() + grace_s
    while (alive := {pid for pid in pids if is_running(pid)}) and time.monotonic() < deadline:
        time.sleep(0.05)
    _signal(alive, signal.SIGKILL)
    while any(is_running(pid) for pid in alive):
        time.sleep(0.02)
    return len(pids)


def is_running(pid: int) -> bool:
    """False too for a process that ended and waits for its parent to notice."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _all_pids() -> Iterable[int]:
    return (int(name) for name in os.listdir("/proc") if name.isdigit())


def _environment_of(pid: int) -> set[bytes]:
    try:
        return set(Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"))
    except OSError:
        return set()


def _ancestors(pid: int) -> set[int]:
    found = set()
    while pid > 1:
        found.add(pid)
        try:
            pid = int(Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[1])
        except OSError:
            break
    return found


def _signal(pids: Iterable[int], number: signal.Signals) -> None:
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue
