"""What the machine is, and whether it was idle: a figure without this says nothing."""

from __future__ import annotations

import os
import platform
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.cpu import machine_busy_s

_SAMPLE_S: Final = 3.0
# Of all cores together. An idle Debian machine stays well below.
_BUSY_CORES_MAX: Final = 0.1


@dataclass(frozen=True)
class Machine:
    """`busy_cores` is how many cores worked, on average, in a few seconds before the benchmark started anything."""

    cpu: str
    cores: int
    memory_gb: int
    kernel: str
    load_1_min: float
    busy_cores: float

    @property
    def is_idle(self) -> bool:
        return is_idle(self.busy_cores)

    def lines(self) -> tuple[str, str]:
        """For people."""
        return (
            f"{self.cores} cores of {self.cpu}, {self.memory_gb} GB, Linux {self.kernel}",
            f"before the start: load {self.load_1_min:.2f}, {self.busy_cores:.2f} cores busy",
        )


def is_idle(busy_cores: float) -> bool:
    """True if programs outside the benchmark took next to nothing."""
    return busy_cores <= _BUSY_CORES_MAX


def look_at_machine() -> Machine:
    """Takes three seconds."""
    before = machine_busy_s()
    time.sleep(_SAMPLE_S)
    return Machine(
        cpu=cpu_model(Path("/proc/cpuinfo").read_text()),
        cores=len(os.sched_getaffinity(0)),
        memory_gb=round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        kernel=platform.release(),
        load_1_min=os.getloadavg()[0],
        busy_cores=(machine_busy_s() - before) / _SAMPLE_S,
    )


def cpu_model(cpuinfo: str) -> str:
    """The name of the first core's model in /proc/cpuinfo, where the architecture tells one."""
    found = re.search(r"^model name\s*: (.+)$", cpuinfo, re.MULTILINE)
    return found[1] if found else platform.machine()
