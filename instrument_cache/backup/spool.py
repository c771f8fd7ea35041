"""Sorts the pages of a scan into shards, on disk, so that memory holds one shard at a time.

A scan may give a key twice. In a shard each key stands once, with the largest of its values (the order of the store),
and the keys are in order: so the same content gives the same bytes.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from instrument_cache.backup.entries import Entry
from instrument_cache.errors import ScratchUnavailable

SHARD_ENTRIES: Final = 16_384
_SHARD_BYTES: Final = 8_000_000
_SHARDS_MAX: Final = 1024
_BUFFER_BYTES_MAX: Final = 16_000_000
_LENGTHS: Final = struct.Struct("<IIq")
_VERSION: Final = slice(5, 21)


def shards_for(keys: int, held_bytes: int) -> int:
    """How many shards hold so many keys of so many bytes: a power of two, so that it changes seldom."""
    count = 1
    while count < _SHARDS_MAX and (count * SHARD_ENTRIES < keys or count * _SHARD_BYTES < held_bytes):
        count *= 2
    return count


class Spool:
    """Files in a folder, one for each shard. Raises ScratchUnavailable when the disk is full."""

    def __init__(self, folder: Path, shards: int) -> None:
        self._folder, self.shards = folder, shards
        self.forget()

    def forget(self) -> None:
        """Begin again."""
        self._buffers = [bytearray() for _ in range(self.shards)]
        self._buffered = 0
        self.entries = 0
        self.passed_over = 0
        for index in range(self.shards):
            self._path(index).unlink(missing_ok=True)

    def add(self, page: bytes) -> None:
        """One page, as `scan.lua` writes it."""
        at, end, count, buffers, crc = 0, len(page), self.shards, self._buffers, zlib.crc32
        while at < end:
            key_bytes, value_bytes, _ = _LENGTHS.unpack_from(page, at)
            key_at = at + _LENGTHS.size
            after = key_at + key_bytes + value_bytes
            buffers[crc(page[key_at : key_at + key_bytes]) % count] += page[at:after]
            at = after
            self.entries += 1
        self._buffered += end
        if self._buffered > _BUFFER_BYTES_MAX:
            self.flush()

    def flush(self) -> None:
        """Write what is buffered."""
        try:
            for index, buffer in enumerate(self._buffers):
                with self._path(index).open("ab") as file:
                    file.write(buffer)
                buffer.clear()
        except OSError as error:
            raise ScratchUnavailable(
                f"{self._folder} took no more of the export: {error.strerror}; make room, or set TMPDIR"
            ) from error
        self._buffered = 0

    def shard(self, index: int) -> list[Entry]:
        """The entries of a shard in the order of their keys. What is none of the store's values is passed over."""
        newest: dict[bytes, tuple[bytes, int]] = {}
        for key, value, expires_at_ms in _records(self._path(index).read_bytes()):
            if not _is_of_the_store(key, value):
                self.passed_over += 1
            elif key not in newest or (value, expires_at_ms) > newest[key]:
                newest[key] = (value, expires_at_ms)
        return [Entry(key.decode(), *newest[key]) for key in sorted(newest)]

    def _path(self, index: int) -> Path:
        return self._folder / f"{index:05d}.spool"


def _is_of_the_store(key: bytes, value: bytes) -> bool:
    return key.isascii() and value.startswith(b'{"v":') and value[_VERSION].isdigit()


def _records(body: bytes) -> Iterator[tuple[bytes, bytes, int]]:
    at, end = 0, len(body)
    while at < end:
        key_bytes, value_bytes, expires_at_ms = _LENGTHS.unpack_from(body, at)
        key_at = at + _LENGTHS.size
        value_at = key_at + key_bytes
        at = value_at + value_bytes
        yield body[key_at:value_at], body[value_at:at], max(expires_at_ms, 0)
