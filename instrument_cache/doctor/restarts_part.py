"""Which processes were started again lately, by the log of the supervisor (supervisord) that started them.

A process that is back within a second is missed by whoever asks the process itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

from instrument_cache.clock import Clock
from instrument_cache.doctor.model import Finding
from instrument_cache.doctor.text import duration

_RECENT_S: Final = 300.0
_SUPERVISOR_STARTED: Final = "supervisord started with pid"
_SPAWNED: Final = re.compile(r"^(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d),(\d{3}) \w+ spawned: '([^']+)' with pid", re.MULTILINE)


class Starts(NamedTuple):
    """How often a process was started again since the supervisor came up, and when last (in seconds since 1970)."""

    again: int
    newest_s: float


def starts_in(log: str) -> Mapping[str, Starts]:
    """Name of a process → its starts, since the supervisor's own last start."""
    found: dict[str, Starts] = {}
    for at, milliseconds, name in _SPAWNED.findall(log.rpartition(_SUPERVISOR_STARTED)[2]):
        # supervisord writes the machine's own time.
        newest_s = datetime.fromisoformat(at).astimezone(UTC).timestamp() + int(milliseconds) / 1000
        found[name] = Starts(found[name].again + 1 if name in found else 0, newest_s)
    return found


def look_at_restarts(log: Path, clock: Clock) -> Iterator[Finding]:
    """Each process that was started again in the last five minutes; one finding if none was."""
    try:
        starts = starts_in(log.read_text(encoding="utf-8", errors="replace"))
    except OSError as error:
        yield _unread(error)
        return
    now_s = clock.now_us() / 1e6
    recent = {name: each for name, each in starts.items() if each.again and now_s - each.newest_s < _RECENT_S}
    yield from (_restarted(name, each, now_s) for name, each in recent.items())
    if not recent:
        sentence = f"no process was started again within {duration(_RECENT_S)} ({len(starts)} are supervised)"
        yield Finding("processes", "ok", sentence)


def _unread(error: OSError) -> Finding:
    return Finding(
        "processes",
        "warn",
        f"whether a process was started again cannot be told: {error}",
        "ICACHE_DOCTOR_SUPERVISOR_LOG names another file, or this process may not read it",
        "correct ICACHE_DOCTOR_SUPERVISOR_LOG, or leave it out",
    )


def _restarted(name: str, starts: Starts, now_s: float) -> Finding:
    ago = duration(now_s - starts.newest_s)
    return Finding(
        name,
        "warn",
        f"{name} was started again {ago} ago ({starts.again} times since the stack is up)",
        "its process ended: killed, out of memory, or restarted by hand",
        f"nothing if it happened once; else icache logs {name}",
    )
