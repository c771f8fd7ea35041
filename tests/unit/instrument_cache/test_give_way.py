"""Long work has a low priority and the shortest slice."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SCRIPT = """
import os
from pathlib import Path
from instrument_cache.give_way import give_way
give_way()
give_way()
print(os.getpriority(os.PRIO_PROCESS, 0), told.read_text() if (told := Path("/proc/self/sched")).exists() else "")
"""


def test_a_program_that_gives_way_says_so_to_the_kernel() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True, cwd=Path.cwd())
    priority, _, told = done.stdout.partition(" ")
    assert int(priority) == 10
    slices = [line.split(":")[1].strip() for line in told.splitlines() if line.startswith("se.slice")]
    # Not every kernel tells, and one before 6.12 has none.
    assert slices in ([], ["100000"])
