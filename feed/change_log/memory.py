"""The in-memory twin of the Kafka log, for tests that need no server."""

from __future__ import annotations

from collections.abc import Iterator
from zlib import crc32


class MemoryChangeLog:
    """Implements `ChangeLog` in a list, `records`; `placed` holds the partition of each of them."""

    def __init__(self, partitions: int = 1) -> None:
        self.records: list[tuple[bytes, bytes]] = []
        self.placed: list[int] = []
        self._partitions = partitions

    def write(self, key: bytes, value: bytes, partition: int | None = None) -> None:
        self.records.append((key, value))
        self.placed.append(crc32(key) % self._partitions if partition is None else partition)

    def partitions(self) -> list[int]:
        return list(range(self._partitions))

    def poll(self) -> None:
        """Nothing is ever reported."""

    def flush(self, timeout_s: float = 30.0) -> None:
        """Nothing is ever queued."""

    def read(self) -> Iterator[tuple[bytes, bytes]]:
        return iter(list(self.records))

    def close(self) -> None:
        """Nothing is held."""
