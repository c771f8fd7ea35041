"""One time limit for a whole exchange with Redis, however many steps it takes: connect, log in, give a name, ask.

The client's own time-outs hold for each step, so a Redis that is slow at each (it does so while it loads) would keep a
caller waiting for their sum.
"""

from __future__ import annotations

import math
import socket
import ssl
import struct
import time
from typing import Any, Final

import redis
from redis.exceptions import RedisError

from instrument_cache.errors import StoreUnavailable

_STEP_S_MIN: Final = 0.001
Address = tuple[str, int]


def remaining_s(until_s: float) -> float:
    """What is left for the next step. Never quite 0, so that a step that is too late fails as a time-out does."""
    return max(until_s - time.monotonic(), _STEP_S_MIN)


class _InTime:
    """Mixed into the client's class of connections."""

    until_s = math.inf
    socket_connect_timeout: float
    driver_info: object

    def connect(self) -> None:
        self._prepare()
        super().connect()  # type: ignore[misc]

    def connect_to(self, address: Address) -> None:
        """Of a connection through Sentinel: to this address, without asking who the master is."""
        self._prepare()
        super().connect_to(address)  # type: ignore[misc]

    def _prepare(self) -> None:
        self.socket_connect_timeout = remaining_s(self.until_s)
        self.driver_info = None  # telling Redis the client's name and version would be two steps more

    def read_response(self, *args: Any, **options: Any) -> Any:
        return super().read_response(*args, **{**options, "timeout": remaining_s(self.until_s)})  # type: ignore[misc]


class Link:
    """A connection that is logged in, to be spoken to in bytes. `peer` is the address at its other end."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection  # closes the socket when it is collected
        self.socket: socket.socket = connection._sock
        self.peer: object = self.socket.getpeername()

    @property
    def address(self) -> Address:
        """Host and port, as the client calls them."""
        return self._connection.host, self._connection.port

    def limit(self, timeout_s: float) -> None:
        """Have the kernel end each `send` and `recv` from now on: with the socket's own time-outs each is two calls.

        What ends so is a BlockingIOError; of an encrypted link it is a TimeoutError.
        """
        if isinstance(self.socket, ssl.SSLSocket):
            self.socket.settimeout(timeout_s)
            return
        seconds = int(timeout_s)
        limit = struct.pack("ll", seconds, int((timeout_s - seconds) * 1_000_000))
        self.socket.setblocking(True)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)

    def close(self) -> None:
        self._connection.disconnect()


class Links:
    """Makes links to the Redis of `client`, each within a time limit.

    Of a Redis behind Sentinel, `master` is where the master was last seen: who knows it spares the others to ask.
    """

    def __init__(self, client: redis.Redis) -> None:
        pool = client.connection_pool
        # What is read by hand is the older protocol: one way to say "none", and no messages in between.
        options = {name: value for name, value in pool.connection_kwargs.items() if not name.startswith("maint_")}
        self._options = {**options, "protocol": 2}
        self._class: Any = type("InTimeConnection", (_InTime, pool.connection_class), {})
        self._by_sentinel = hasattr(pool, "sentinel_manager")
        self.master: Address | None = None

    def connect(self, limit_s: float) -> Link:
        """A new link. Raises StoreUnavailable after `limit_s` seconds at the latest."""
        connection: Any = self._class(**self._options)
        connection.until_s = time.monotonic() + limit_s
        try:
            if self._by_sentinel and self.master is not None:
                connection.connect_to(self.master)
            else:
                connection.connect()
        except (RedisError, OSError) as error:
            raise StoreUnavailable(f"Redis does not take a connection: {error}") from error
        return Link(connection)
