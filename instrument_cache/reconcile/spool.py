"""Sets of keys on disk, in shards of the key space, so that no set is ever whole in memory."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Final
from zlib import crc32

import msgspec

from instrument_cache.errors import SpoolFull

_BUFFERED_KEYS: Final = 65_536
_BUFFERED_CANDIDATES: Final = 512


class Candidate(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """A key that may differ. `version` is the one that the source had at the first look, 0: none.

    `owner` is the source's key whose row decides, `held` the version that the cache had then (0: no matter).
    """

    key: str
    owner: str
    version: int
    held: int = 0


class KeySpool:
    """Keys without line breaks, by shard."""

    def __init__(self, folder: Path, name: str, shards: int) -> None:
        self._paths = [folder / f"{name}-{shard:04}" for shard in range(shards)]
        self._buffers: list[list[bytes]] = [[] for _ in range(shards)]
        self._buffered = 0

    def add(self, keys: Collection[bytes]) -> None:
        """Raises SpoolFull."""
        buffers, shards = self._buffers, len(self._buffers)
        for key in keys:
            buffers[crc32(key) % shards].append(key)
        self._buffered += len(keys)
        if self._buffered >= _BUFFERED_KEYS:
            for shard in range(shards):
                self._flush(shard)
            self._buffered = 0

    def read(self, shard: int) -> set[bytes]:
        """The keys of one shard."""
        self._flush(shard)
        path = self._paths[shard]
        found = set(path.read_bytes().split(b"\n")) if path.exists() else set()
        found.discard(b"")
        return found

    def _flush(self, shard: int) -> None:
        buffer = self._buffers[shard]
        if buffer:
            _append(self._paths[shard], b"\n".join(buffer) + b"\n")
            buffer.clear()


class CandidateSpool:
    """Candidates by shard."""

    def __init__(self, folder: Path, shards: int) -> None:
        self._paths = [folder / f"candidates-{shard:04}" for shard in range(shards)]
        self._buffers: list[list[bytes]] = [[] for _ in range(shards)]
        self._encode = msgspec.json.Encoder().encode
        self.total = 0

    def add(self, candidate: Candidate) -> None:
        """Raises SpoolFull."""
        shard = crc32(candidate.key.encode()) % len(self._paths)
        buffer = self._buffers[shard]
        buffer.append(self._encode(candidate))
        self.total += 1
        if len(buffer) >= _BUFFERED_CANDIDATES:
            self._flush(shard)

    def read(self, shard: int) -> Iterator[Candidate]:
        """The candidates of one shard; a key may come several times, once for each row that has a claim to it."""
        self._flush(shard)
        decode = msgspec.json.Decoder(Candidate).decode
        if self._paths[shard].exists():
            with self._paths[shard].open("rb") as file:
                yield from map(decode, file)

    def _flush(self, shard: int) -> None:
        buffer = self._buffers[shard]
        if buffer:
            _append(self._paths[shard], b"\n".join(buffer) + b"\n")
            buffer.clear()


def _append(path: Path, data: bytes) -> None:
    try:
        with path.open("ab") as file:
            file.write(data)
    except OSError as error:
        raise SpoolFull(
            f"{path.parent} takes no more ({error.strerror}): a comparison needs about 60 bytes of disk for each key; "
            "make room, or name another folder with TMPDIR"
        ) from error
