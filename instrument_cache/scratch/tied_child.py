"""`python tied_child.py PARENT COMMAND…`: becomes COMMAND, tied to PARENT: the kernel kills it when that process dies.

Imports nothing of the product, so that it begins in an instant.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Tie, then become the command."""
    parent, command = int(sys.argv[1]), sys.argv[2:]
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before the kernel was asked
        raise SystemExit(1)
    os.execv(command[0], command)


if __name__ == "__main__":
    main()
