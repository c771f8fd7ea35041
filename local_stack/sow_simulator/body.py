"""Request bodies as batches of rows: streamed, in bounded memory, gzip or plain."""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator, Iterator
from typing import Final

from starlette.requests import Request

from instrument_cache.source.interface import ROW_BYTES_MAX
from local_stack.sow_simulator.problems import Problem

BATCH_ROWS_MAX: Final = 4_000
BATCH_BYTES_MAX: Final = 4 * 1024 * 1024
_INFLATED_BYTES_MAX: Final = 256 * 1024
_GZIP_ONLY: Final = 16 + zlib.MAX_WBITS


class Lines:
    """Bytes in pieces of any size → lines without their line break; empty ones are passed over."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._held_bytes = 0

    def feed(self, piece: bytes) -> list[bytes]:
        """The lines that this piece completes. Raises Problem for one over ROW_BYTES_MAX."""
        self._pieces.append(piece)
        self._held_bytes += len(piece)
        first_end = piece.find(b"\n")
        _check_length(self._held_bytes if first_end < 0 else self._held_bytes - len(piece) + first_end, self._pieces[0])
        if first_end < 0:
            return []
        *lines, rest = b"".join(self._pieces).split(b"\n")
        self._pieces, self._held_bytes = [rest] if rest else [], len(rest)
        return [line for line in lines if line]

    def finish(self) -> list[bytes]:
        """The last line, if it has no line break."""
        line = b"".join(self._pieces)
        return [line] if line else []


def _check_length(line_bytes: int, beginning: bytes) -> None:
    if line_bytes > ROW_BYTES_MAX:
        rule = f"a row has at most {ROW_BYTES_MAX} bytes"
        raise Problem(413, f"the line {beginning[:40]!r}…", rule, "split the row, or end it with a line break")


class Gunzip:
    """gzip in pieces of any size, also several members in a row, to pieces of bounded size."""

    def __init__(self) -> None:
        self._member = zlib.decompressobj(_GZIP_ONLY)
        self._begun = False

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """What this piece inflates to. Raises Problem if it is not gzip."""
        while piece:
            if self._member.eof:
                self._member = zlib.decompressobj(_GZIP_ONLY)
            self._begun = True
            try:
                inflated = self._member.decompress(piece, _INFLATED_BYTES_MAX)
            except zlib.error as error:
                raise _bad_gzip(str(error)) from None
            piece = self._member.unconsumed_tail or self._member.unused_data
            if inflated:
                yield inflated

    def finish(self) -> Iterator[bytes]:
        """What is left. Raises Problem if the body broke off."""
        if self._begun and not self._member.eof:
            # zlib may still hold output that did not fit into the last bounded piece.
            yield self._member.flush()
            if not self._member.eof:
                raise _bad_gzip("it breaks off before its end")


def _bad_gzip(detail: str) -> Problem:
    rule = f"with Content-Encoding gzip it must be gzip: {detail}"
    return Problem(400, "the body", rule, "compress the whole body, or send it plain")


async def batches(request: Request) -> AsyncIterator[list[bytes]]:
    """The rows of a body in batches of at most BATCH_ROWS_MAX rows or about BATCH_BYTES_MAX bytes."""
    lines = Lines()
    batch: list[bytes] = []
    batch_bytes = 0
    async for piece in _plain(request):
        batch += lines.feed(piece)
        batch_bytes += len(piece)
        while len(batch) >= BATCH_ROWS_MAX or (batch and batch_bytes >= BATCH_BYTES_MAX):
            yield batch[:BATCH_ROWS_MAX]
            batch, batch_bytes = batch[BATCH_ROWS_MAX:], 0
    batch += lines.finish()
    if batch:
        yield batch


async def _plain(request: Request) -> AsyncIterator[bytes]:
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("identity", "gzip"):
        raise Problem(
            415, f"Content-Encoding {encoding[:40]!r}", "it must be gzip or absent", "send plain rows or gzip"
        )
    gunzip = Gunzip() if encoding == "gzip" else None
    async for piece in request.stream():
        for plain in gunzip.feed(piece) if gunzip else (piece,):
            yield plain
    for plain in gunzip.finish() if gunzip else ():
        yield plain
