"""Finds and cuts this process's connections on which a request stays unanswered, by the kernel's own account."""

from __future__ import annotations

import os
import socket
import stat
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Final, NamedTuple

_ESTABLISHED: Final = 1
# struct tcp_info of Linux: the state, then milliseconds since data was last sent and last received.
_INFO: Final = struct.Struct("=B43xI4xI")


class _Look(NamedTuple):
    inode: int
    sent_ms: int
    received_ms: int


class Unanswered:
    """Connections to `port` that were seen to have received something and to have sent nothing since.

    No request of the service takes seconds to answer once it is here as a whole. So what stays unanswered for longer is
    a request that is not here as a whole. Whose body it is cannot be told otherwise: the server does not say it.
    """

    def __init__(self, port: int, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._port, self._monotonic = port, monotonic
        self._since_s: dict[int, float] = {}

    def forget(self) -> None:
        self._since_s.clear()

    def cut(self, after_s: float) -> int:
        """Look at every connection, and cut those that were unanswered in each look for `after_s` seconds."""
        now_s, cut, seen = self._monotonic(), 0, dict[int, float]()
        for connection in _connections(self._port):
            with connection, suppress(OSError):
                look = _look(connection)
                if look is None or look.sent_ms < look.received_ms:
                    continue
                since_s = self._since_s.get(look.inode, now_s)
                if now_s - look.sent_ms / 1000 > since_s:  # something was sent after it was first seen so
                    since_s = now_s
                seen[look.inode] = since_s
                if now_s - since_s >= after_s:
                    connection.shutdown(socket.SHUT_RDWR)
                    cut += 1
        self._since_s = seen
        return cut


def _look(connection: socket.socket) -> _Look | None:
    """None unless the connection stands."""
    info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _INFO.size)
    state, sent_ms, received_ms = _INFO.unpack(info)
    return _Look(os.fstat(connection.fileno()).st_ino, sent_ms, received_ms) if state == _ESTABLISHED else None


def _connections(port: int) -> Iterator[socket.socket]:
    """This process's TCP sockets at a port of its own, each as a duplicate that must be closed."""
    for name in os.listdir("/proc/self/fd"):
        with suppress(OSError):
            if not stat.S_ISSOCK(os.fstat(int(name)).st_mode):
                continue
            found = socket.socket(fileno=os.dup(int(name)))
            address = found.getsockname() if found.family in (socket.AF_INET, socket.AF_INET6) else ("", None)
            if address[1] == port:
                yield found
            else:
                found.close()
