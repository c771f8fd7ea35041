"""Lets everybody else on the machine come first: for long work beside who reads.

`python -m instrument_cache.give_way PROGRAM …` runs another program so.
"""

from __future__ import annotations

import ctypes
import os
import platform
import sys
from typing import Final

_NICE: Final = 10
# The kernel lets a program run for milliseconds before one that wakes up gets its turn, however nice it is. The
# shortest slice that it takes ends that (Linux 6.12 and later; an older one passes it over).
_SLICE_NS: Final = 100_000
_SCHED_SETATTR: Final = {"x86_64": 314, "aarch64": 274}


class _Attributes(ctypes.Structure):
    """`struct sched_attr` of the kernel, first version. For ordinary programs `runtime` is the slice."""

    _fields_ = (
        ("size", ctypes.c_uint32),
        ("policy", ctypes.c_uint32),
        ("flags", ctypes.c_uint64),
        ("nice", ctypes.c_int32),
        ("priority", ctypes.c_uint32),
        ("runtime", ctypes.c_uint64),
        ("deadline", ctypes.c_uint64),
        ("period", ctypes.c_uint64),
    )


def give_way() -> None:
    """From now on this thread, and what it starts, yields to others at once. It cannot be taken back."""
    os.nice(max(0, _NICE - os.getpriority(os.PRIO_PROCESS, 0)))
    number = _SCHED_SETATTR.get(platform.machine())
    if sys.platform == "linux" and number:
        given = _Attributes(size=ctypes.sizeof(_Attributes), nice=os.getpriority(os.PRIO_PROCESS, 0), runtime=_SLICE_NS)
        # What a kernel or a container refuses is passed over: the priority above stands.
        ctypes.CDLL(None).syscall(number, 0, ctypes.byref(given), 0)


if __name__ == "__main__":
    give_way()
    os.execvp(sys.argv[1], sys.argv[1:])
