"""Reads the entries of one dataset out of a live Redis, between two fences (docs/adr/0020-a-fenced-scan.md).

A cursor means something only to the server that gave it, so the whole scan goes over one connection. If that breaks, as
it does when Redis fails over, or if an epoch is opened meanwhile, the scan begins again from nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from importlib import resources
from typing import Any, Final

import msgspec
import redis
import structlog
from redis.exceptions import RedisError

from instrument_cache.contract import Contract
from instrument_cache.epoch import read_epoch
from instrument_cache.errors import StoreUnavailable
from instrument_cache.store.redis import RedisStore

_SCRIPT: Final = resources.files("instrument_cache.backup").joinpath("scan.lua").read_bytes()
# One call blocks Redis for about 4 µs per key, and readers wait for it.
_PAGE_KEYS: Final = 250
_TRIES: Final = 10
_PAUSE_S: Final = 1.0
logger = structlog.get_logger()


class Fence(msgspec.Struct, frozen=True):
    """Where the cache stands at one moment: Redis's time in µs, the applied positions by partition, and the epoch."""

    at_us: int
    positions: dict[int, int]
    epoch: int

    @property
    def at(self) -> str:
        """UTC, ISO."""
        return datetime.fromtimestamp(self.at_us / 1e6, UTC).isoformat(timespec="milliseconds")


class Scanned(msgspec.Struct, frozen=True):
    """A scan that came to its end. `others` counts keys that belong neither to the dataset nor to its notes."""

    start: Fence
    end: Fence
    others: int


class _EpochOpened(Exception):
    """A roll back began while the scan ran: what was read is of two histories."""


class FencedScan:
    """One scan. `on_page` gets the bytes of each page (see `scan.lua`), `on_restart` is told to forget all of them."""

    def __init__(
        self, client: redis.Redis, contract: Contract, on_page: Callable[[bytes], None], on_restart: Callable[[], None]
    ) -> None:
        self._client, self._contract = client, contract
        self._on_page, self._on_restart = on_page, on_restart
        self._prefixes = [f"{name}:" for name in (contract.key_prefix, *(alias.prefix for alias in contract.aliases))]

    def run(self) -> Scanned:
        """Raises StoreUnavailable if it broke off again and again."""
        for left in reversed(range(_TRIES)):
            self._on_restart()
            try:
                return self._once()
            except (RedisError, StoreUnavailable, _EpochOpened) as error:
                logger.warning("scan_begins_again", error=str(error) or type(error).__name__, tries_left=left)
                if not left:
                    raise StoreUnavailable(f"Redis broke the scan off {_TRIES} times: {error}") from error
            time.sleep(_PAUSE_S)
        raise AssertionError("unreachable")

    def _once(self) -> Scanned:
        start = self.fence()
        others = sum(self._pages())
        end = self.fence()
        if end.epoch != start.epoch:
            raise _EpochOpened(f"epoch {end.epoch} was opened during the scan")
        return Scanned(start, end, others)

    def fence(self) -> Fence:
        """Where the cache stands now. Raises StoreUnavailable."""
        accounts = RedisStore(self._client, self._contract.dataset).accounts()
        at_us = redis_time_us(self._client)
        positions = {partition: account.next for partition, account in accounts.items()}
        return Fence(at_us, positions, read_epoch(self._client, self._contract.dataset).number)

    def _pages(self) -> Iterator[int]:
        """Hands out every page; yields how many keys of each were of others."""
        pool: Any = self._client.connection_pool
        connection = pool.get_connection()
        try:
            self._ask(connection, b"0")
            cursor = b""
            while cursor != b"0":
                cursor, page, others = connection.read_response()
                if cursor != b"0":
                    # Redis makes the next page while this one is handled.
                    self._ask(connection, cursor)
                self._on_page(page)
                yield others
        except BaseException:
            connection.disconnect()
            raise
        finally:
            pool.release(connection)

    def _ask(self, connection: Any, cursor: bytes) -> None:
        connection.send_command("EVAL_RO", _SCRIPT, 0, cursor, _PAGE_KEYS, self._contract.dataset, *self._prefixes)


def size_of(client: redis.Redis) -> tuple[int, int]:
    """All keys of Redis, whosever they are, and the bytes that they take. Raises StoreUnavailable."""
    try:
        memory: Any = client.info("memory")
        return int(client.dbsize()), int(memory["used_memory_dataset"])
    except RedisError as error:
        raise StoreUnavailable(f"Redis did not count its keys: {error}") from error


def redis_time_us(client: redis.Redis) -> int:
    """Redis's clock, µs since 1970: the one clock by which all backups are dated. Raises StoreUnavailable."""
    try:
        found: Any = client.time()
    except RedisError as error:
        raise StoreUnavailable(f"Redis did not tell the time: {error}") from error
    return int(found[0]) * 1_000_000 + int(found[1])
