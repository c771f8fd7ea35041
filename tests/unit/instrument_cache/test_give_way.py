"""Long work makes room for everybody else."""

from __future__ import annotations

import subprocess
import sys

from local_stack.instance import PROJECT

TELL = "import os; print(os.sched_getscheduler(0) == os.SCHED_IDLE)"


def test_a_program_that_gives_way_says_so_to_the_kernel() -> None:
    program = [sys.executable, "-m", "instrument_cache.give_way"]
    command = [*program, *program, sys.executable, "-c", TELL]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=PROJECT)
    assert done.stdout == "True\n"
