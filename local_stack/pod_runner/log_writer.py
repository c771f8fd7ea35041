"""Writes a pod's output in the CRI log format, one entry per line. Standard library only: the shim imports it.

An entry is `2026-01-31T12:00:00.123456789Z stdout F text` as kubelet's own files hold it: F ends a line, P is a piece
of a line that goes on in the next entry. The text is the pod's bytes, whatever their encoding.
"""

import os
import time
from collections.abc import Callable
from pathlib import Path

PIECE_BYTES_MAX = 16 * 1024
TIMESTAMP_BYTES = 30


def rfc3339_nano(moment_ns: int) -> bytes:
    """Format nanoseconds since the epoch at a fixed width, so that byte order is time order."""
    seconds, nanoseconds = divmod(moment_ns, 1_000_000_000)
    day_and_time = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    return f"{day_and_time}.{nanoseconds:09d}Z".encode()


class LogWriter:
    """Appends output to one file, up to `bytes_max` bytes of log; later output is dropped and the log says so."""

    def __init__(self, path: Path, bytes_max: int, now_ns: Callable[[], int] = time.time_ns) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._bytes_left = bytes_max
        self._bytes_max = bytes_max
        self._now_ns = now_ns
        self._piece = b""

    def feed(self, data: bytes) -> None:
        """Take the next bytes of output; whole lines are written at once, the rest waits for its end."""
        *lines, self._piece = (self._piece + data).split(b"\n")
        entries = [(b"F", line) for line in lines]
        if len(self._piece) >= PIECE_BYTES_MAX:
            entries.append((b"P", self._piece))
            self._piece = b""
        self._write(entries)

    def close(self) -> None:
        """Write what stands behind the last newline and close the file."""
        if self._piece:
            self._write([(b"P", self._piece)])
        os.close(self._file)

    def _write(self, entries: list[tuple[bytes, bytes]]) -> None:
        if not entries or self._bytes_left <= 0:
            return
        block = self._render(entries)
        if len(block) > self._bytes_left:
            last_words = b"pod runner: log limit of %d bytes reached, the rest is lost" % self._bytes_max
            block = self._render([(b"F", last_words)])
            self._bytes_left = 0
        self._bytes_left -= len(block)
        try:
            os.write(self._file, block)
        except OSError:
            # A full disk must not stop the pod: its output is lost, its exit code is not.
            return

    def _render(self, entries: list[tuple[bytes, bytes]]) -> bytes:
        stamp = rfc3339_nano(self._now_ns())
        return b"".join(b"%s stdout %s %s\n" % (stamp, tag, text) for tag, text in entries)
