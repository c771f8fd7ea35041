"""The rows of a snapshot, or an error if it is not whole."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from instrument_cache.errors import SourceUnavailable
from instrument_cache.source.interface import Put, SnapshotBegin, SnapshotEnd


def begun(event: object) -> SnapshotBegin:
    """The first event of a snapshot. Raises SourceUnavailable if it is another."""
    if not isinstance(event, SnapshotBegin):
        raise SourceUnavailable(f"the source's snapshot began with {event!r}, not with its beginning: read it again")
    return event


def rows_of(events: Iterable[object]) -> Iterator[Put]:
    """The rows behind the beginning of a snapshot. Raises SourceUnavailable if it is not whole."""
    rows = 0
    for event in events:
        if isinstance(event, Put):
            rows += 1
            yield event
        elif isinstance(event, SnapshotEnd):
            if event.rows != rows:
                raise SourceUnavailable(f"the snapshot came with {rows} of its {event.rows} rows: read it again")
            return
    raise SourceUnavailable(f"the snapshot broke off after {rows} rows: read it again")


def whole_snapshot(events: Iterator[object]) -> Iterator[Put]:
    """The rows of a snapshot from its beginning on. Raises SourceUnavailable if it is not whole."""
    begun(next(events, None))
    yield from rows_of(events)
