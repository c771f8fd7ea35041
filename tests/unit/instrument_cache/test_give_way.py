"""Long work has a low priority and the shortest slice."""

from __future__ import annotations

import subprocess
import sys

from local_stack.instance import PROJECT

TELL = """
import os
from pathlib import Path
print(os.getpriority(os.PRIO_PROCESS, 0), told.read_text() if (told := Path("/proc/self/sched")).exists() else "")
"""


def test_a_program_that_gives_way_says_so_to_the_kernel() -> None:
    program = [sys.executable, "-m", "instrument_cache.give_way"]
    command = [*program, *program, sys.executable, "-c", TELL]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=PROJECT)
    priority, _, told = done.stdout.partition(" ")
    assert int(priority) == 10
    slices = [line.split(":")[1].strip() for line in told.splitlines() if line.startswith("se.slice")]
    # Not every kernel tells, and one before 6.12 has none.
    assert slices in ([], ["100000"])
