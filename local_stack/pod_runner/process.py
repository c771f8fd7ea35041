"""Processes named by pid and start time, so that a reused pid is never mistaken. Standard library only (see shim)."""

import os
from pathlib import Path
from typing import NamedTuple

_STATE_FIELD = 3  # numbered as in proc(5)
_START_FIELD = 22


class ProcessIdentity(NamedTuple):
    """One process for as long as the machine runs: no two share both numbers."""

    pid: int
    start_ticks: int  # clock ticks from boot to the process's start, /proc/PID/stat field 22


def identify(pid: int) -> ProcessIdentity | None:
    """Return the identity of the living process `pid`; None when there is none, or only a zombie of it."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The command name may hold spaces and parentheses; the fields after it start at its last ")".
    fields = stat.rpartition(")")[2].split()
    if fields[_STATE_FIELD - 3] in "ZXx":
        return None
    return ProcessIdentity(pid, int(fields[_START_FIELD - 3]))


def is_alive(process: ProcessIdentity) -> bool:
    """Say whether exactly this process still runs."""
    return identify(process.pid) == process


def signal_group(leader: ProcessIdentity, signal_number: int) -> bool:
    """Send a signal to the process group that `leader` leads; return whether it was there to receive it."""
    if not is_alive(leader):
        return False
    try:
        os.killpg(leader.pid, signal_number)
    except ProcessLookupError:
        return False
    return True
