"""Reads of Redis that nobody waits for. Those of one turn of the loop are one command, whose answer calls back."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from instrument_cache.errors import StoreUnavailable
from lookup_app.deadline import Link, Links
from lookup_app.redis_reader import RedisReader, mget

# How often it is looked whether the oldest read is late.
_LOOK_S: Final = 0.01
_AGAIN_S: Final = 0.25
_CONNECT_S_MAX: Final = 1.0
# done(value, error, slow): the stored bytes or None; or else an error, and whether Redis did not answer in time.
Done = Callable[[bytes | None, StoreUnavailable | None, bool], None]


class _Asked(NamedTuple):
    until_s: float
    done: list[Done]


class LateReads(asyncio.Protocol):
    """One link to Redis, in the thread of `loop`. While there is none, `available` is False and one is being made.

    A read ends within `limit_s` seconds, or fails.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, links: Links, reader: RedisReader, limit_s: float) -> None:
        self._loop, self._links, self._reader, self._limit_s = loop, links, reader, limit_s
        self._keys: list[str] = []
        self._done: list[Done] = []
        self._asked: deque[_Asked] = deque()
        self._received = b""
        self._link: Link | None = None
        self._transport: Any = None
        self._connecting = self._looking = self._closed = False
        self._not_before_s = 0.0

    @property
    def peer(self) -> object:
        """The Redis at the other end."""
        return self._link.peer if self._link else None

    @property
    def available(self) -> bool:
        """Whether a read may begin now. If not, have a link made."""
        if self._transport is None:
            self._connect()
            return False
        known = self._reader.peer
        if self._reader.refusal or (known is not None and known != self.peer):
            self._give_up(StoreUnavailable(self._reader.refusal or "another Redis is the master now"), slow=False)
            return False
        return True

    def get(self, key: str, done: Done) -> None:
        """Read a full key and call `done` later, never from here. Only while `available`."""
        if not self._keys:
            self._loop.call_soon(self._flush)
        self._keys.append(key)
        self._done.append(done)

    def close(self) -> None:
        """Read no more."""
        self._closed = True
        self._give_up(StoreUnavailable("the server ends"), slow=False)

    def data_received(self, data: bytes) -> None:
        self._received += data
        try:
            while self._asked and (found := _values(self._received, len(self._asked[0].done))):
                values, at = found
                self._received = self._received[at:]
                for done, value in zip(self._asked.popleft().done, values, strict=True):
                    done(value, None, False)
        except ValueError:
            text = self._received[:100]
            self._give_up(StoreUnavailable(f"Redis answered {text!r}"), slow=False)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._transport is not None:
            self._give_up(StoreUnavailable(f"Redis closed the connection: {exc}"), slow=False)

    def _flush(self) -> None:
        keys, done = self._keys, self._done
        self._keys, self._done = [], []
        if self._transport is None:
            for one in done:
                one(None, StoreUnavailable("the connection to Redis is lost"), False)
            return
        self._asked.append(_Asked(time.monotonic() + self._limit_s, done))
        self._transport.write(mget(keys))
        if not self._looking:
            self._looking = True
            self._loop.call_later(_LOOK_S, self._look)

    def _look(self) -> None:
        self._looking = bool(self._asked)
        if not self._looking:
            return
        if time.monotonic() >= self._asked[0].until_s:
            self._give_up(StoreUnavailable("Redis did not answer in time"), slow=True)
        self._loop.call_later(_LOOK_S, self._look)

    def _give_up(self, error: StoreUnavailable, *, slow: bool) -> None:
        """Fail what was asked, and use this link no more."""
        transport, self._transport, self._received = self._transport, None, b""
        asked, self._asked = self._asked, deque()
        if transport is not None:
            transport.abort()
        if self._link is not None:
            self._link.close()
            self._link = None
        for read in asked:
            for done in read.done:
                done(None, error, slow)

    def _connect(self) -> None:
        if self._connecting or self._closed or time.monotonic() < self._not_before_s:
            return
        self._connecting = True
        self._loop.create_task(self._make_link())

    async def _make_link(self) -> None:
        try:
            link = await self._loop.run_in_executor(None, self._links.connect, _CONNECT_S_MAX)
            if isinstance(link.socket, ssl.SSLSocket):  # is read by threads: the loop would want to encrypt by itself
                self._not_before_s = float("inf")
                return
            link.socket.setblocking(False)
            # The link closes its socket when it goes; the loop gets one of its own.
            transport, _ = await self._loop.create_connection(lambda: self, sock=link.socket.dup())
            self._link, self._transport = link, transport
        except (StoreUnavailable, OSError):
            self._not_before_s = time.monotonic() + _AGAIN_S
        finally:
            self._connecting = False


def _values(data: bytes, count: int) -> tuple[list[bytes | None], int] | None:
    """The values of the answer at the beginning, and where it ends; None if it is not complete.

    Raises ValueError for any other answer.
    """
    head = b"*%d\r\n" % count
    if data[: len(head)] != head[: len(data)]:
        raise ValueError
    at, values = len(head), list[bytes | None]()
    for _ in range(count):
        end = data.find(b"\r\n", at)
        if end < 0:
            return None
        size, at = int(data[at + 1 : end]), end + 2
        if size < 0:
            values.append(None)
            continue
        if len(data) < at + size + 2:
            return None
        values.append(data[at : at + size])
        at += size + 2
    return values, at
