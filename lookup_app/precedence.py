"""Lets who answers readers come first on a machine that others share, as long as it needs little of that machine.

The kernel does not give a thread that wakes up a busy processor at once, not even one whose program gives way
(docs/reconcile.md). A thread under the real-time policy gets it. But such a thread keeps everybody else waiting: so
the service watches how much it works, and while that is much it takes its turn like all others.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

import structlog

logger = structlog.get_logger()

# Shares of one processor. With one worker for each processor no more than half of the machine is kept from others.
BUSY: Final = 0.5
CALM: Final = 0.3
_EVERY_S: Final = 0.1
_CALM_FOR_S: Final = 1.0
_THREADS: Final = Path("/proc/self/task")


def come_first() -> bool:
    """Have this process come first from now on, by a thread that watches it. False if the system does not allow it."""
    if sys.platform != "linux" or not _is_allowed():
        logger.info("takes_its_turn", reason="the system does not allow the real-time policy")
        return False
    threading.Thread(target=_watch, args=(Turn(time.monotonic(), time.process_time()),), daemon=True).start()
    return True


class Turn:
    """Who comes first, decided at each look. Times in seconds, of the clock and of the processor."""

    def __init__(self, now_s: float, worked_s: float) -> None:
        self.is_first = True
        self._now_s, self._worked_s = now_s, worked_s
        self._busy_at_s = now_s

    def look(self, now_s: float, worked_s: float) -> None:
        """Decide whether it comes first until the next look."""
        share = (worked_s - self._worked_s) / max(now_s - self._now_s, 1e-9)
        self._now_s, self._worked_s = now_s, worked_s
        if share > (BUSY if self.is_first else CALM):
            self.is_first, self._busy_at_s = False, now_s
        elif now_s - self._busy_at_s >= _CALM_FOR_S:
            self.is_first = True


def _watch(turn: Turn) -> None:
    while True:
        _apply(turn.is_first)
        time.sleep(_EVERY_S)
        turn.look(time.monotonic(), time.process_time())


def _apply(is_first: bool) -> None:
    """To each thread, also those that began since the last look."""
    policy, priority = (os.SCHED_RR, 1) if is_first else (os.SCHED_OTHER, 0)
    for thread in os.listdir(_THREADS):
        with suppress(ProcessLookupError, PermissionError):
            os.sched_setscheduler(int(thread), policy, os.sched_param(priority))


def _is_allowed() -> bool:
    try:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    except PermissionError:
        return False
    return True
