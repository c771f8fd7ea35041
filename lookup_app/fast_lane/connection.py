"""One client's connection: a request at a time, in the order in which they came."""

from __future__ import annotations

import asyncio
import time
from typing import Any, Final, Protocol

from lookup_app.fast_lane.requests import Request
from lookup_app.fast_lane.tunnel import Tunnel

# What a client may send ahead while its request is answered.
_HELD_BYTES_MAX: Final = 64 * 1024


class Lane(Protocol):
    """What a connection needs of its lane."""

    server: str

    def quick(self, data: bytes) -> bytes | None:
        """The answer to what needs no more than a look."""
        ...

    def whole(self, data: bytes) -> Request | None: ...

    def take(self, connection: Connection, request: Request) -> bool:
        """Answer a request now or later with `Connection.answer`, once; False: it is not for the lane."""
        ...

    def opened(self, connection: Connection) -> None: ...

    def closed(self, connection: Connection) -> None: ...


class Connection(asyncio.Protocol):
    """`environ` is the part of the WSGI environment that all of its requests share."""

    def __init__(self, lane: Lane, loop: asyncio.AbstractEventLoop) -> None:
        self._lane, self._loop = lane, loop
        self._transport: Any = None
        self._tunnel: Tunnel | None = None
        self.busy = False
        self._held = b""
        self._since_s = time.monotonic()
        self.environ: dict[str, Any] = {}

    def answer(self, data: bytes, *, closes: bool) -> None:
        """Send the answer to the request that was taken."""
        self.busy, self._since_s = False, time.monotonic()
        self._transport.write(data)
        if closes:
            self._transport.close()
        elif self._held:
            held, self._held = self._held, b""
            if self._transport.is_closing():
                return
            self._transport.resume_reading()
            self._take(held)

    def close(self) -> None:
        """Close it once all is sent."""
        self._transport.close()

    def cut(self) -> None:
        """Close it at once."""
        self._transport.abort()

    def is_idle(self, now_s: float, after_s: float) -> bool:
        """It is the client's turn, for `after_s` seconds already."""
        return not self.busy and self._tunnel is None and now_s - self._since_s >= after_s

    def unanswered_s(self, now_s: float) -> float:
        """For how long the server behind owes an answer, or the rest of the request is awaited."""
        return 0.0 if self._tunnel is None else self._tunnel.unanswered_s(now_s)

    @property
    def is_tunnel(self) -> bool:
        return self._tunnel is not None

    def _take(self, data: bytes) -> None:
        answer = self._lane.quick(data)
        if answer is not None:
            self._since_s = time.monotonic()
            self._transport.write(answer)
            return
        request = self._lane.whole(data)
        if request is None:
            self._pass_on(data)
            return
        self.busy = True
        if not self._lane.take(self, request):
            self.busy = False
            self._pass_on(data)

    def _pass_on(self, data: bytes) -> None:
        self._tunnel = Tunnel(self._transport)
        self._tunnel.send(data)
        self._loop.create_task(self._tunnel.open(self._loop, self._lane.server))

    # What asyncio calls.

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        address, port = transport.get_extra_info("peername")[:2]
        self.environ = {"REMOTE_ADDR": address, "REMOTE_PORT": str(port)}
        self._lane.opened(self)

    def data_received(self, data: bytes) -> None:
        if self._tunnel is not None:
            self._tunnel.send(data)
        elif self.busy:
            self._held += data
            if len(self._held) > _HELD_BYTES_MAX:
                self._transport.pause_reading()
        else:
            self._take(data)

    def eof_received(self) -> bool:
        """A client may end its side and still wait for its answer."""
        if self._tunnel is not None:
            self._tunnel.end()
            return True
        return False

    def pause_writing(self) -> None:
        if self._tunnel is not None:
            self._tunnel.hold_back(True)
        elif not self._transport.is_closing():
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        if self._tunnel is not None:
            self._tunnel.hold_back(False)
        elif not self._transport.is_closing():
            self._transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._tunnel is not None:
            self._tunnel.end()
        self._lane.closed(self)
