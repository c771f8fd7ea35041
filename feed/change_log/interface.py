"""What a change log does. The Kafka log and the in-memory twin pass one contract suite."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol


class ChangeLog(Protocol):
    """An ordered log per key. Every method may raise LogUnavailable."""

    def write(self, key: bytes, value: bytes, partition: int | None = None) -> None:
        """Queue a record for the partition that its key chooses, or for a given one.

        Blocks while the queue is full; an error of an earlier record is raised here or later.
        """
        ...

    def partitions(self) -> list[int]:
        """The partitions that there are now, in order. Raises LogUnavailable."""
        ...

    def poll(self) -> None:
        """Serve what the log reports while nothing is written. Raises LogUnavailable for a lost record."""
        ...

    def flush(self, timeout_s: float = 30.0) -> None:
        """Return once every record written so far is kept by the log."""
        ...

    def read(self) -> Iterator[tuple[bytes, bytes]]:
        """(key, value) of every record held now, per key in the order of writing; compacted records may be missing."""
        ...

    def close(self) -> None:
        """Flush and give back what is held."""
        ...
