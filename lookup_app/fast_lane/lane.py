"""The event loop of a worker: it accepts connections, and gives up those on which nothing happens."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable
from importlib.util import find_spec
from typing import Final

import structlog

from lookup_app.fast_lane.connection import Connection
from lookup_app.fast_lane.dispatch import Dispatch
from lookup_app.fast_lane.settings import LaneSettings

logger = structlog.get_logger(component="lookup")
_LOOK_S: Final = 0.25
_ACCEPTS_AT_ONCE: Final = 64


class Lane:
    """Listens at the settings' address beside the other workers. `server` is the unix socket of what is behind."""

    def __init__(self, settings: LaneSettings, loop: asyncio.AbstractEventLoop, dispatch: Dispatch) -> None:
        """Raises OSError if the address cannot be had."""
        self._settings, self._loop = settings, loop
        self.quick, self.whole, self.take = dispatch.quick, dispatch.whole, dispatch.take
        self.server = settings.server
        self._connections: set[Connection] = set()
        self._accepted = 0
        self._listens = False
        self._listener = listener(settings.address, settings.backlog)

    def start(self) -> None:
        """Begin, in the loop's thread."""
        self._listen()
        self._loop.call_later(_LOOK_S, self._look)

    def opened(self, connection: Connection) -> None:
        self._connections.add(connection)

    def closed(self, connection: Connection) -> None:
        self._connections.discard(connection)
        self._accepted -= 1
        self._listen()

    async def stop(self, timeout_s: float) -> None:
        """Accept no more, and wait until what was taken is answered."""
        self._loop.remove_reader(self._listener.fileno())
        self._listener.close()
        until_s = time.monotonic() + timeout_s
        while any(c.busy for c in self._connections) and time.monotonic() < until_s:
            await asyncio.sleep(0.01)
        for connection in [c for c in self._connections if not c.is_tunnel]:
            connection.close()

    async def emptied(self, timeout_s: float) -> None:
        """Wait until every connection has gone, those to the server behind as well."""
        until_s = time.monotonic() + timeout_s
        while self._connections and time.monotonic() < until_s:
            await asyncio.sleep(0.01)

    def _listen(self) -> None:
        if self._listener.fileno() >= 0 and not self._listens and self._accepted < self._settings.connections_max:
            self._listens = True
            self._loop.add_reader(self._listener.fileno(), self._accept)

    def _pause(self) -> None:
        self._listens = False
        self._loop.remove_reader(self._listener.fileno())

    def _accept(self) -> None:
        for _ in range(_ACCEPTS_AT_ONCE):
            if self._accepted >= self._settings.connections_max:
                self._pause()
                return
            try:
                accepted, _ = self._listener.accept()
            except BlockingIOError:
                return
            except OSError as error:  # no more files, or gone before it was accepted
                logger.warning("not_accepted", error=str(error))
                self._pause()
                self._loop.call_later(_LOOK_S, self._listen)
                return
            self._accepted += 1
            self._loop.create_task(self._open(accepted))

    async def _open(self, accepted: socket.socket) -> None:
        accepted.setblocking(False)
        accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            await self._loop.connect_accepted_socket(lambda: Connection(self, self._loop), accepted)
        except OSError:
            self._accepted -= 1

    def _look(self) -> None:
        now_s, settings = time.monotonic(), self._settings
        for connection in list(self._connections):
            if connection.is_idle(now_s, settings.header_timeout_s):
                connection.close()
            elif settings.body_timeout_s and connection.unanswered_s(now_s) >= settings.request_s_max:
                connection.cut()
        self._loop.call_later(_LOOK_S, self._look)


def listener(address: tuple[str, int], backlog: int, *, shared: bool = True) -> socket.socket:
    """A socket beside those of the other workers: the kernel shares connections out. Raises OSError.

    `backlog` 0: it has the address, and no connection ever comes to it.
    """
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if shared:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    listening.setblocking(False)
    listening.bind(address)
    if backlog:
        listening.listen(backlog)
    return listening


def reserved(address: tuple[str, int]) -> socket.socket:
    """Keep an address for the workers, which nobody else may have. Raises OSError if somebody has it."""
    with listener(address, 1, shared=False):
        pass
    return listener(address, 0)


def new_loop() -> asyncio.AbstractEventLoop:
    """uvloop's if it is installed."""
    if find_spec("uvloop"):
        import uvloop

        loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
        return loop
    return asyncio.new_event_loop()


def run_in_thread(loop: asyncio.AbstractEventLoop, begin: Callable[[], None]) -> None:
    """Run `loop` for as long as the process lives; `begin` is called in it."""

    def run() -> None:
        asyncio.set_event_loop(loop)
        loop.call_soon(begin)
        loop.run_forever()

    threading.Thread(target=run, name="fast-lane", daemon=True).start()
