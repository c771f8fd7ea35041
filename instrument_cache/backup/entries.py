"""The entries of a shard, and its bytes: MessagePack `[[key, value, expires_at_ms], …]`, compressed with zlib."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Final

import msgspec

from instrument_cache.errors import BackupRefused

# A shard is made for 16,384 entries of at most 64 KiB: what unpacks to more was not made by us.
SHARD_BYTES_MAX: Final = 2_000_000_000
_LEVEL: Final = 1


class Entry(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One key of Redis with the bytes that the store keeps there. `expires_at_ms`: since 1970; 0: never."""

    key: str
    value: bytes
    expires_at_ms: int


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[Entry]).decode


def shard_of(key: bytes, shards: int) -> int:
    """The shard that holds a key, so that few keys are read from few objects."""
    return zlib.crc32(key) % shards


def pack(entries: Sequence[Entry]) -> bytes:
    """The same entries give the same bytes."""
    return zlib.compress(_encode(entries), _LEVEL)


def unpack(body: bytes, place: str) -> list[Entry]:
    """Raises BackupRefused for bytes that are no shard."""
    opened = zlib.decompressobj()
    try:
        plain = opened.decompress(body, SHARD_BYTES_MAX)
        if not opened.eof:
            raise zlib.error("it is cut short, or too large")
        return _decode(plain)
    except (zlib.error, msgspec.DecodeError) as error:
        raise BackupRefused("altered", f"{place} is no shard of a backup: {error}") from None
