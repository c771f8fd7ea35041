"""One time limit for a whole read of Redis, however many steps it takes: connect, log in, give a name, ask.

The client's own time-outs hold for each step, so a Redis that is slow at each (it does so while it loads) would keep a
caller waiting for their sum.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Sequence
from typing import Any, Final

import redis

from lookup_app.service import Reader

_STEP_S_MIN: Final = 0.001


class Deadline(threading.local):
    """When the read of the current thread must be over."""

    at_s = math.inf

    def start(self, limit_s: float) -> None:
        self.at_s = time.monotonic() + limit_s

    def remaining_s(self) -> float:
        """What is left for the next step. Never quite 0, so that a step that is too late fails as a time-out does."""
        return max(self.at_s - time.monotonic(), _STEP_S_MIN)


class _InTime:
    """Mixed into the client's class of connections."""

    deadline: Deadline
    socket_connect_timeout: float
    driver_info: object

    def connect(self) -> None:
        self.socket_connect_timeout = self.deadline.remaining_s()
        self.driver_info = None  # telling Redis the client's name and version would be two steps more
        super().connect()  # type: ignore[misc]

    def read_response(self, *args: Any, **options: Any) -> Any:
        return super().read_response(*args, **{**options, "timeout": self.deadline.remaining_s()})  # type: ignore[misc]


class InTime:
    """A reader over `client` whose every read ends, in one way or the other, within `limit_s` seconds."""

    def __init__(self, reader: Reader, client: redis.Redis, limit_s: float) -> None:
        self._reader, self._limit_s, self._deadline = reader, limit_s, Deadline()
        pool = client.connection_pool
        pool.connection_class = type("InTimeConnection", (_InTime, pool.connection_class), {"deadline": self._deadline})

    def get_many(self, keys: Sequence[str]) -> list[bytes | None]:
        self._deadline.start(self._limit_s)
        return self._reader.get_many(keys)

    def counters(self) -> dict[str, int]:
        self._deadline.start(self._limit_s)
        return self._reader.counters()
