"""CPU time by part of a stack, and of the whole machine, from /proc."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")
PYTHON_WORKERS: Final = "python-workers"
TASKMANAGER: Final = "flink-taskmanager"


class ProcessTime(NamedTuple):
    """One process: its parent, its name, and its CPU seconds, those of its ended children included."""

    parent: int
    command: str
    cpu_s: float


def parse_stat(text: str) -> ProcessTime:
    """The content of /proc/PID/stat. The name is in brackets and may hold brackets and spaces itself."""
    head, _, tail = text.rpartition(")")
    fields = tail.split()
    return ProcessTime(int(fields[1]), head.partition("(")[2], sum(map(int, fields[11:15])) / TICKS_PER_S)


def processes() -> dict[int, ProcessTime]:
    """Every process of the machine."""
    found = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            found[int(pid)] = parse_stat(Path(f"/proc/{pid}/stat").read_text(errors="replace"))
        except OSError:  # it ended meanwhile
            continue
    return found


def cpu_by_part(running: Mapping[int, ProcessTime], roots: Mapping[int, str]) -> dict[str, float]:
    """CPU seconds so far of each part; `roots` is {process id: part}.

    A part is its root and all below it. Summed over the living, it keeps what an ended child took: the parent has it.
    """
    total: defaultdict[str, float] = defaultdict(float)
    for pid, process in running.items():
        part = _part_of(pid, running, roots)
        if part == TASKMANAGER and process.command != "java":
            part = PYTHON_WORKERS
        if part:
            total[part] += process.cpu_s
    return dict(total)


def _part_of(pid: int, running: Mapping[int, ProcessTime], roots: Mapping[int, str]) -> str | None:
    while pid not in roots:
        if pid not in running:
            return None
        pid = running[pid].parent
    return roots[pid]


def difference(before: Mapping[str, float], after: Mapping[str, float]) -> dict[str, float]:
    """CPU seconds between two readings of `cpu_by_part`; a part that is gone afterwards is left out."""
    return {part: max(0.0, cpu_s - before.get(part, 0.0)) for part, cpu_s in after.items()}


def parse_machine_stat(text: str) -> float:
    """The content of /proc/stat → CPU seconds that all cores together were busy since boot."""
    user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, text.splitlines()[0].split()[1:9])
    return (user + nice + system + irq + softirq + steal) / TICKS_PER_S


def machine_busy_s() -> float:
    """CPU seconds that all cores together were busy since boot."""
    return parse_machine_stat(Path("/proc/stat").read_text())
