"""The end of a worker without a failed request: first it says that it is going, then it goes.

Whoever sends requests here learns from `/readyz` to send no more, and from `Connection: close` to give up the
connections that it has. Only then the server stops accepting, finishes what runs, and ends.
"""

from __future__ import annotations

import multiprocessing
import signal
import threading
import time
from collections.abc import Callable
from typing import Final

import structlog

# The server's handler says the same each time; a signal that came before it was installed is made good.
_AGAIN_S: Final = 1.0
logger = structlog.get_logger()


class Drain:
    """Whether this process is about to stop."""

    begun = False

    def __init__(self) -> None:
        # What must have ended before the server is stopped.
        self.before_end: list[Callable[[], None]] = []


DRAIN: Final = Drain()


def drain_on_sigterm(drain_s: float) -> None:
    """In a server's worker, have SIGTERM begin the drain, and stop the server `drain_s` seconds later. Main thread.

    The server installs its own handler for SIGTERM after this. So the signal is blocked, in this thread and in all that
    begin after it, and a thread takes it up; the server is then stopped by SIGINT, which means the same to it.
    """
    if multiprocessing.parent_process() is None:
        return
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    threading.Thread(target=_await_sigterm, args=(drain_s,), name="drain", daemon=True).start()


def _await_sigterm(drain_s: float) -> None:
    signal.sigwait({signal.SIGTERM})
    DRAIN.begun = True
    logger.info("draining", seconds=drain_s)
    time.sleep(drain_s)
    for end in DRAIN.before_end:
        end()
    main = threading.main_thread().ident
    while main is not None:
        # To the main thread, which waits: a signal that another thread takes up does not wake it.
        signal.pthread_kill(main, signal.SIGINT)
        time.sleep(_AGAIN_S)
