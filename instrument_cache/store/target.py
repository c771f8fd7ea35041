"""The Redis that an operation writes to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, TypeVar

import redis
import structlog
from redis.exceptions import RedisError

from instrument_cache.errors import StoreUnavailable

logger = structlog.get_logger()
_PASSES_MAX: Final = 5
T = TypeVar("T")


class Target:
    """Asks Redis what is Redis's to say: the time by which its keys expire, and which server it is."""

    def __init__(self, client: redis.Redis) -> None:
        self.client: Any = client

    def now_ms(self) -> int:
        """Redis's clock. Raises StoreUnavailable."""
        with _errors("did not tell the time"):
            seconds, microseconds = self.client.time()
            return int(seconds) * 1000 + int(microseconds) // 1000

    def server(self) -> str:
        """Differs after a fail-over and after a restart. Raises StoreUnavailable."""
        with _errors("did not tell which server it is"):
            return str(self.client.info("server")["run_id"])

    def on_one_server(self, work: Callable[[], T]) -> T:
        """Do `work`, and again until all of it went to one server: a replica that took over may lack its last writes.

        Raises StoreUnavailable if the server changes each time.
        """
        for _ in range(_PASSES_MAX):
            before = self.server()
            done = work()
            if self.server() == before:
                return done
            logger.warning("written_again", reason="another Redis took over while it ran")
        raise StoreUnavailable(f"Redis failed over in each of {_PASSES_MAX} passes; make it stable, then try again")


@contextmanager
def _errors(what: str) -> Iterator[None]:
    try:
        yield
    except RedisError as error:
        raise StoreUnavailable(f"Redis {what}: {error}") from error
