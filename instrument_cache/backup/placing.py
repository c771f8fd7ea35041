"""Writes each object to every region that answers. A region that fails once is left out for the rest of the run."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import structlog

from instrument_cache.backup.region import Region
from instrument_cache.errors import ObjectStoreUnavailable
from instrument_cache.objects import ObjectLock, ObjectStore

# Shards in memory that wait for a slow region.
_UNDER_WAY_MAX: Final = 4
logger = structlog.get_logger()


class Placing:
    """`missing`: region's name → why it was left out."""

    def __init__(self, regions: Sequence[Region], lock: ObjectLock | None) -> None:
        self._regions, self._lock = list(regions), lock
        self.missing: dict[str, str] = {}
        self._pool = ThreadPoolExecutor(2 * len(self._regions), "backup")
        self._under_way: deque[Future[None]] = deque()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._pool.shutdown(cancel_futures=True)

    @property
    def present(self) -> list[Region]:
        """The regions that took everything so far."""
        return [region for region in self._regions if region.name not in self.missing]

    def put(self, key: str, body: bytes) -> None:
        """Begin to write an object. Raises ObjectStoreUnavailable if no region takes any more."""
        for region in self.present:
            self._begin(region, lambda objects: objects.put_once(key, body, lock=self._lock))
        while len(self._under_way) > _UNDER_WAY_MAX:
            self._under_way.popleft().result()

    def put_file(self, key: str, path: Path) -> None:
        """Write a file, in all regions at once."""
        for region in self.present:
            self._begin(region, lambda objects: objects.put_file(key, path, self._lock))
        self.settle()

    def settle(self) -> None:
        """Wait until everything lies where it should. Raises ObjectStoreUnavailable if no region has it."""
        while self._under_way:
            self._under_way.popleft().result()
        if not self.present:
            raise ObjectStoreUnavailable("no region takes the backup: " + "; ".join(self.missing.values()))

    def _begin(self, region: Region, write: Callable[[ObjectStore], object]) -> None:
        self._under_way.append(self._pool.submit(self._write, region, write))

    def _write(self, region: Region, write: Callable[[ObjectStore], object]) -> None:
        if region.name in self.missing:
            return
        try:
            write(region.objects)
        except ObjectStoreUnavailable as error:
            self.missing.setdefault(region.name, str(error))
            logger.error("region_left_out", region=region.name, error=str(error))
