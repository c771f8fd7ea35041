"""The in-memory twin of the Kafka log, for tests that need no server."""

from __future__ import annotations

from collections.abc import Iterator


class MemoryChangeLog:
    """Implements `ChangeLog` in a list, `records`."""

    def __init__(self) -> None:
        self.records: list[tuple[bytes, bytes]] = []

    def write(self, key: bytes, value: bytes) -> None:
        self.records.append((key, value))

    def poll(self) -> None:
        """Nothing is ever reported."""

    def flush(self, timeout_s: float = 30.0) -> None:
        """Nothing is ever queued."""

    def read(self) -> Iterator[tuple[bytes, bytes]]:
        return iter(list(self.records))

    def close(self) -> None:
        """Nothing is held."""
