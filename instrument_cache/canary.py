"""Canaries: each second a record of the feed's own for each Kafka partition, so that lag shows in a silent market too.

The feed writes them, the job stores the newest of each partition, and readers of the log pass them over. The `~` keeps
their keys clear of every identifier.
"""

from __future__ import annotations

from typing import Final

import msgspec

KEY_PREFIX: Final = b"~canary-"


class StoredCanary(msgspec.Struct, frozen=True):
    """What Redis holds: `v` is when the feed wrote the canary (µs since 1970), `p` the Kafka partition."""

    v: int
    p: int


class _Origin(msgspec.Struct):
    position: int


class _Written(msgspec.Struct):
    source: _Origin


_decode_written = msgspec.json.Decoder(_Written).decode
_decode_stored = msgspec.json.Decoder(StoredCanary).decode


def canary_key(partition: int) -> bytes:
    """The Kafka key: one for each partition, so that compaction keeps one canary of each."""
    return b"%b%d" % (KEY_PREFIX, partition)


def is_canary(key: bytes) -> bool:
    """True for the Kafka key of a canary."""
    return key.startswith(KEY_PREFIX)


def position_of(value: bytes | None) -> int | None:
    """The source's position that a canary of the log tells: the feed wrote every change up to it before.

    None if it is none.
    """
    try:
        return _decode_written(value or b"").source.position
    except msgspec.DecodeError:
        return None


def stored_key(dataset: str, partition: int) -> str:
    """The Redis key of a partition's newest canary."""
    return f"canary:{dataset}:{partition}"


def written_at_us(stored: bytes | None) -> int | None:
    """When the feed wrote the canary that Redis holds; None if there is none, or something else."""
    if stored is None:
        return None
    try:
        return _decode_stored(stored).v
    except msgspec.DecodeError:
        return None
