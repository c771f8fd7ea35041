"""Reads the simulator's byte stream of frames: one JSON header line, `length` bytes of payload, one line break."""

from __future__ import annotations

from typing import Final

import msgspec

from instrument_cache.errors import SourceUnavailable
from instrument_cache.source.interface import (
    ROW_BYTES_MAX,
    Delete,
    Heartbeat,
    Put,
    SnapshotBegin,
    SnapshotEnd,
    SourceEvent,
)

HEADER_BYTES_MAX: Final = 4096
_NEWLINE: Final = 0x0A


class _Header(msgspec.Struct, gc=False):
    type: str
    length: int = 0
    key: str = ""
    timestamp: int = 0
    position: int = 0
    version: int = 0
    topic: str = ""
    rows: int = 0


class FrameParser:
    """Bytes in pieces of any size → events. The pieces of a large payload are joined once, when it is whole."""

    def __init__(self) -> None:
        self._decode = msgspec.json.Decoder(_Header).decode
        self._pieces: list[bytes] = []
        self._held_bytes = 0
        self._needed_bytes = 1

    def feed(self, piece: bytes) -> list[SourceEvent]:
        """The events that this piece completes. Raises SourceUnavailable if the bytes are not frames."""
        self._pieces.append(piece)
        self._held_bytes += len(piece)
        if self._held_bytes < self._needed_bytes:
            return []
        data = b"".join(self._pieces)
        events: list[SourceEvent] = []
        at = 0
        while (end := self._end_of_frame(data, at, events)) > 0:
            at = end
        rest = data[at:]
        self._pieces = [rest]
        self._held_bytes = len(rest)
        return events

    def _end_of_frame(self, data: bytes, at: int, events: list[SourceEvent]) -> int:
        """Append the frame at `at` and return where it ends, or 0 if it is not whole yet."""
        newline = data.find(b"\n", at)
        if newline < 0:
            return self._wait_for_header(len(data) - at, data[at : at + 40])
        try:
            header = self._decode(data[at:newline])
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise _not_a_frame(data[at : at + 40], str(error)) from None
        start = newline + 1
        stop = start + header.length
        if not start <= stop <= start + ROW_BYTES_MAX:
            raise _not_a_frame(data[at : at + 40], f"length {header.length} is outside 0 to {ROW_BYTES_MAX}")
        if stop >= len(data):
            self._needed_bytes = stop + 1 - at
            return 0
        if data[stop] != _NEWLINE:
            raise _not_a_frame(data[at : at + 40], f"no line break after the {header.length} bytes of payload")
        events.append(_event(header, data[start:stop]))
        return stop + 1

    def _wait_for_header(self, held_bytes: int, beginning: bytes) -> int:
        if held_bytes > HEADER_BYTES_MAX:
            raise _not_a_frame(beginning, f"no line break within {HEADER_BYTES_MAX} bytes")
        self._needed_bytes = held_bytes + 1
        return 0


def _event(header: _Header, payload: bytes) -> SourceEvent:
    if header.type == "put":
        return Put(header.key, payload, header.timestamp, header.position)
    if header.type == "delete":
        return Delete(header.key, header.version, header.timestamp, header.position)
    if header.type == "heartbeat":
        return Heartbeat()
    if header.type == "begin":
        return SnapshotBegin(header.topic, header.position, header.rows)
    if header.type == "end":
        return SnapshotEnd(header.rows)
    # Passing over what is not understood could lose a change.
    raise _not_a_frame(header.type.encode(), "the type must be begin, put, delete, end or heartbeat")


def _not_a_frame(beginning: bytes, rule: str) -> SourceUnavailable:
    return SourceUnavailable(f"the source sent {beginning!r}, which is not a frame: {rule}; check ICACHE_SOURCE_URL")
