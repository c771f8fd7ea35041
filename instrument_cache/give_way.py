"""Lets everybody else on the machine come first: for long work beside who reads.

`python -m instrument_cache.give_way PROGRAM …` runs another program so.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress


def give_way() -> None:
    """From now on this thread, and what it starts, runs only where nothing else wants to. It cannot be taken back.

    A lower priority (`nice`) is not enough: the kernel lets even the nicest program run on, until its slice or a tick
    of the clock ends, before one that wakes up gets its turn. One under this policy makes room at once.

    The kernel weighs programs within one group of its scheduler. Between two (containers, and sessions where it groups
    by session) the groups' own shares decide.
    """
    if sys.platform == "linux":
        # What a container refuses is passed over: it goes on as everybody does.
        with suppress(PermissionError):
            os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


if __name__ == "__main__":
    give_way()
    os.execvp(sys.argv[1], sys.argv[1:])
