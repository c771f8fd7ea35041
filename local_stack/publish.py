"""Publishing rows to the source: a whole file, a file once, or at a steady rate."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Final

from instrument_cache.contract import Contract
from instrument_cache.source.interface import Source
from local_stack.instance import Instance
from local_stack.rows import read_rows

_CHUNK_ROWS: Final = 5000
_TICK_S: Final = 0.05


def publish_file(
    source: Source, path: Path, contract: Contract, progress: Callable[[int], None] = lambda position: None
) -> int:
    """Publish every row and return their number. Rows before an error are published; doing it again does no harm."""
    rows = read_rows(path, contract, progress)
    count = 0
    while chunk := list(islice(rows, _CHUNK_ROWS)):
        count += source.publish(chunk)
    return count


def publish_file_once(instance: Instance, source: Source, path: Path, contract: Contract) -> int:
    """Publish a file unless this instance's source already took exactly these bytes. Returns the rows published."""
    mark = instance.folder("data", "loaded") / hashlib.sha256(path.read_bytes()).hexdigest()
    if mark.exists():
        return 0
    count = publish_file(source, path, contract)
    mark.touch()
    return count


def paced(rows: Iterable[bytes], rate_per_s: float | None) -> Iterator[list[bytes]]:
    """Chunks of rows, each when it is due: the schedule does not slip when publishing was slow."""
    iterator = iter(rows)
    if rate_per_s is None:
        while chunk := list(islice(iterator, _CHUNK_ROWS)):
            yield chunk
        return
    started, sent = time.monotonic(), 0
    while True:
        due = int((time.monotonic() - started) * rate_per_s) + 1 - sent
        chunk = list(islice(iterator, due))
        if due and not chunk:
            return
        sent += len(chunk)
        if chunk:
            yield chunk
        time.sleep(_TICK_S)
