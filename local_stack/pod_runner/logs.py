"""Reads a pod's log file (see log_writer.py) as the pod's log endpoint answers it: bytes in, bytes out."""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from local_stack.pod_runner.lifecycle import Outcome
from local_stack.pod_runner.log_writer import TIMESTAMP_BYTES, rfc3339_nano
from local_stack.pod_runner.status import Json

READ_BYTES = 256 * 1024
FOLLOW_POLL_S = 0.1
TERMINATION_LINES_MAX = 80
TERMINATION_BYTES_MAX = 2048


class LogQuery(NamedTuple):
    """What part of a log is wanted, and how."""

    follow: bool = False  # go on until the pod is finished
    timestamps: bool = False  # RFC 3339 with nanoseconds and a space before each line
    since_ns: int | None = None  # only entries from this time on, nanoseconds since the epoch
    tail_lines: int | None = None  # only the last lines
    limit_bytes: int | None = None  # end after so many bytes, within a line if need be


async def read_log(path: Path, query: LogQuery, is_finished: Callable[[], bool]) -> AsyncIterator[bytes]:
    """Yield the log in chunks; with `follow`, until `is_finished()` and everything was read."""
    left = query.limit_bytes
    render = _Renderer(query)
    async for block in _blocks(path, query, is_finished):
        chunk = render(block)[:left]
        if chunk:
            yield chunk
        if left is not None:
            left -= len(chunk)
            if left == 0:
                return


async def _blocks(path: Path, query: LogQuery, is_finished: Callable[[], bool]) -> AsyncIterator[list[bytes]]:
    """Yield whole entries as they come."""
    rest = b""
    if not path.exists():
        return  # the pod could not be started at all
    with path.open("rb") as file:
        if query.tail_lines is not None:
            file.seek(await asyncio.to_thread(_tail_offset, path, query.tail_lines))
        while True:
            # Asked before the read: what was written before the end is then still read.
            finished = is_finished()
            if data := file.read(READ_BYTES):
                *entries, rest = (rest + data).split(b"\n")
                yield entries
            elif finished or not query.follow:
                return
            else:
                await asyncio.sleep(FOLLOW_POLL_S)


def _tail_offset(path: Path, lines: int) -> int:
    """Return where the last `lines` lines begin; a line may be several entries."""
    starts: deque[int] = deque(maxlen=lines)
    offset, at_line_start = 0, True
    with path.open("rb") as file:
        for entry in file:
            if at_line_start:
                starts.append(offset)
            offset += len(entry)
            at_line_start = _ends_line(entry)
    return starts[0] if starts else offset


def _ends_line(entry: bytes) -> bool:
    return entry[TIMESTAMP_BYTES:].split(b" ", 3)[2:3] != [b"P"]


class _Renderer:
    """Turns entries into the pod's bytes; a long line that was written in pieces becomes one line again."""

    def __init__(self, query: LogQuery) -> None:
        self._since = b"" if query.since_ns is None else rfc3339_nano(query.since_ns)
        self._timestamps = query.timestamps
        self._at_line_start = True

    def __call__(self, entries: Iterable[bytes]) -> bytes:
        return b"".join(self._render(entry) for entry in entries)

    def _render(self, entry: bytes) -> bytes:
        parts = entry.split(b" ", 3)
        if len(parts) < 4 or parts[0] < self._since:
            return b""
        stamp, _, tag, text = parts
        prefix = stamp + b" " if self._timestamps and self._at_line_start else b""
        self._at_line_start = tag != b"P"
        return prefix + text + (b"\n" if self._at_line_start else b"")


def termination_message(pod: Json, outcome: Outcome, path: Path) -> Outcome:
    """Give a failed pod the end of its log as message, if its terminationMessagePolicy asks for that."""
    policy = pod["spec"]["containers"][0].get("terminationMessagePolicy")
    if policy != "FallbackToLogsOnError" or not outcome.exit_code or outcome.message:
        return outcome
    with path.open("rb") as file:
        file.seek(_tail_offset(path, TERMINATION_LINES_MAX))
        text = _Renderer(LogQuery())(file.read().split(b"\n"))
    return outcome._replace(message=text[-TERMINATION_BYTES_MAX:].decode(errors="replace"))


def since_seconds(age_s: int) -> int:
    """Return the time `age_s` seconds ago in nanoseconds since the epoch."""
    return max(0, time.time_ns() - age_s * 1_000_000_000)
