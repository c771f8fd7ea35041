"""No worker outlives its server: a killed granian would leave one that goes on answering beside its successor."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import sys
from typing import Final

_PR_SET_PDEATHSIG: Final = 1


def end_with_server() -> None:
    """Ask the kernel to end this process as SIGTERM does when its server dies. Only a server's worker is concerned."""
    server = multiprocessing.parent_process()
    if server is None or sys.platform != "linux":
        return
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != server.pid:  # it died before the kernel was asked
        os.kill(os.getpid(), signal.SIGTERM)
