"""Follows what changes in Redis, and proves with heartbeats up to when nothing was missed.

One connection per process has `CLIENT TRACKING` on, in broadcasting mode, for the prefixes of the datasets. Redis sends
on it the keys that change, and the answers to the heartbeats, in this order: when a heartbeat that was sent at t is
answered, every change that was made before t has been told (docs/adr/0016-near-cache.md has the proof).
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Final

import structlog

from instrument_cache.errors import StoreUnavailable
from lookup_app.cache.near_cache import NearCache
from lookup_app.cache.protocol import ErrorReply, Push, Replies, command
from lookup_app.deadline import Link, Links
from lookup_app.fail_fast import PAUSE_S, FailFast
from lookup_app.redis_reader import RedisReader

logger = structlog.get_logger(component="lookup")
HEARTBEATS_PER_BOUND: Final = 5
# The rest of the bound is for noticing it: stale answers must be ready before fresh ones end.
HEARTBEAT_PATIENCE: Final = 0.6
_CONNECT_S_MAX: Final = 1.0
# A Redis that does not let this user track will not do so in the next second either.
_REFUSED_PAUSE_S: Final = 5.0
_CUT_PAUSE_S: Final = 0.02
_CHUNK_BYTES: Final = 256 * 1024
_HEARTBEAT: Final = command("ROLE") + command("TIME")


class TrackingRefused(Exception):
    """Redis answers, but does not track for this user."""


class NoMaster(StoreUnavailable):
    """This Redis follows another one, and may be any time behind."""


class Tracker:
    """A thread that keeps `cache` coherent, and tells `breaker` when Redis goes and when it is back."""

    def __init__(
        self, links: Links, cache: NearCache, reader: RedisReader, breaker: FailFast, prefixes: Sequence[str]
    ) -> None:
        self._links, self._cache, self._reader, self._breaker = links, cache, reader, breaker
        self._prefixes = prefixes
        self._stopped = threading.Event()
        self._told = ""

    def start(self) -> None:
        threading.Thread(target=self._run, name="near-cache-tracker", daemon=True).start()

    def stop(self) -> None:
        """Let the thread end; it may take until the next heartbeat."""
        self._stopped.set()

    def _run(self) -> None:
        pause_s = 0.0
        while not self._stopped.wait(pause_s):
            pause_s = self._try_to_follow()
        self._cache.lose()

    def _try_to_follow(self) -> float:
        """Track until it breaks off. Returns the time to wait before the next try."""
        try:
            self._follow()
        except TrackingRefused as error:
            self._lost("tracking_refused", error)
            return _REFUSED_PAUSE_S
        except ConnectionError as error:
            self._lost("tracking_cut", error)
            return _CUT_PAUSE_S  # perhaps only this connection: Redis is away if the next one fails too
        except Exception as error:  # whatever it is, the next try begins from nothing
            self._reader.refusal = str(error) if isinstance(error, NoMaster) else ""
            self._breaker.refuse()
            self._lost("redis_lost", error)
            return PAUSE_S
        return 0.0

    def _lost(self, event: str, error: Exception) -> None:
        self._cache.lose()
        self._links.master = self._reader.peer = None
        if self._told != event:
            logger.warning(event, error=str(error))
        self._told = event

    def _follow(self) -> None:
        """Track until it breaks off or is stopped. Raises whatever breaks it off."""
        link = self._links.connect(_CONNECT_S_MAX)
        try:
            session = _Session(link, self._cache)
            session.begin(self._prefixes)
            self._links.master, self._reader.peer, self._reader.refusal = link.address, link.peer, ""
            self._cache.restart(link.peer)
            self._breaker.allow()
            logger.info("redis_tracked", peer=str(link.peer))
            self._told = ""
            while not self._stopped.is_set():
                session.beat()
        finally:
            link.close()


class _Session:
    """One tracking connection."""

    def __init__(self, link: Link, cache: NearCache) -> None:
        self._link, self._cache = link, cache
        self._replies = Replies()
        self._interval_s = cache.freshness_s / HEARTBEATS_PER_BOUND
        self._patience_s = cache.freshness_s * HEARTBEAT_PATIENCE

    def begin(self, prefixes: Sequence[str]) -> None:
        """Turn tracking on, at a master that answers reads. Raises TrackingRefused, StoreUnavailable or OSError."""
        words = [word for prefix in prefixes for word in ("PREFIX", f"{prefix}:")]
        # Until it serves reads, such as while it loads its data, what is kept from before is worth more than a flush.
        self._link.socket.sendall(command("MGET", f"{prefixes[0]}:"))
        _checked(self._await(1, _CONNECT_S_MAX))
        self._link.socket.sendall(
            command("HELLO", "3") + command("CLIENT", "TRACKING", "ON", "BCAST", *words) + _HEARTBEAT
        )
        replies = self._await(4, _CONNECT_S_MAX)
        refused = [reply for reply in replies if isinstance(reply, ErrorReply)]
        if refused:
            raise TrackingRefused(str(refused[0]))
        _checked(replies)

    def beat(self) -> None:
        """One heartbeat, and the changes until the next one is due. Raises StoreUnavailable or OSError."""
        cache = self._cache
        sent_at_s = cache.monotonic()
        self._link.socket.sendall(_HEARTBEAT)
        seconds, microseconds = _checked(self._await(2, self._patience_s))
        cache.expire(int(seconds) * 1000 + int(microseconds) // 1000)
        cache.advance(sent_at_s)
        self._listen(sent_at_s + self._interval_s)

    def _await(self, count: int, patience_s: float) -> list[object]:
        """The next `count` answers; changes that are told before and between them are taken in."""
        until_s = self._cache.monotonic() + patience_s
        replies: list[object] = []
        while len(replies) < count:
            remaining_s = until_s - self._cache.monotonic()
            if remaining_s <= 0:
                raise TimeoutError(f"Redis did not answer within {patience_s:g} s")
            replies += self._receive(remaining_s)
        return replies

    def _listen(self, until_s: float) -> None:
        while (remaining_s := until_s - self._cache.monotonic()) > 0:
            try:
                if replies := self._receive(remaining_s):
                    raise StoreUnavailable(f"Redis answered {replies[0]!r}, and was not asked")
            except TimeoutError:
                return

    def _receive(self, timeout_s: float) -> list[object]:
        """What came, without the pushes: those are taken in here."""
        self._link.socket.settimeout(timeout_s)
        data = self._link.socket.recv(_CHUNK_BYTES)
        if not data:
            raise ConnectionResetError("Redis closed the connection")
        answers: list[object] = []
        for reply in self._replies.feed(data):
            if isinstance(reply, Push):
                self._take_in(reply)
            else:
                answers.append(reply)
        return answers

    def _take_in(self, push: Push) -> None:
        if push.kind == "invalidate" and push.keys is None:
            self._cache.flush()  # FLUSHALL
        elif push.kind == "invalidate":
            self._cache.invalidate(push.keys or ())


def _checked(replies: list[object]) -> Sequence[bytes]:
    """The last reply. Raises StoreUnavailable for an error, or for a ROLE that is not that of a master."""
    for reply in replies:
        if isinstance(reply, ErrorReply):
            raise StoreUnavailable(str(reply))
        if isinstance(reply, list) and reply and reply[0] in (b"slave", b"sentinel"):
            raise NoMaster(f"this Redis is no master: its role is {reply[0].decode()}")
    last = replies[-1]
    assert isinstance(last, list)
    return last
