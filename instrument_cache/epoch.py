"""The epoch of a dataset: which history its cache stands in.

A roll back replaces what is newer by what is older, on purpose. It opens a new epoch, so that whoever relied on
versions that only grow can tell: within one epoch no reader sees a key go back, and between two it may.

    epoch:{dataset} → {"number":1,"opened_at":"2025-11-21T18:00:00+00:00","by":…,"reason":…,"backup":…,"pinned":true}

While an epoch is pinned, the cache is meant to differ from its source: reconciliation compares, and repairs only what
was approved (docs/adr/0021-a-roll-back-is-an-epoch.md).
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
import redis
from redis.exceptions import RedisError

from instrument_cache.errors import StoreUnavailable

# Opens the epoch after the one that was seen, or says that another came between.
_SWAP: Final = """
local held = redis.call('GET', KEYS[1]) or ''
if held == ARGV[2] then return 1 end
if held ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2])
return 1
"""


class Epoch(msgspec.Struct, frozen=True):
    """`number` 0 is the first, which nobody opened. `opened_at` is UTC, ISO; `backup` what it rolled back to.

    `run_id` is the run that opened it: the same run, killed and begun again, finds its own epoch and goes on in it.
    """

    number: int = 0
    opened_at: str = ""
    by: str = ""
    reason: str = ""
    backup: str = ""
    pinned: bool = False
    run_id: str = ""


class EpochMoved(StoreUnavailable):
    """Somebody else opened or unpinned an epoch meanwhile: look again, and decide again."""


def epoch_key(dataset: str) -> str:
    """`epoch:{dataset}`."""
    return f"epoch:{dataset}"


def read_epoch(client: redis.Redis, dataset: str) -> Epoch:
    """The epoch that Redis holds. Raises StoreUnavailable, also for what cannot be read as one."""
    return epoch_of(_held(client, dataset), dataset)


def open_epoch(client: redis.Redis, dataset: str, seen: Epoch, new: Epoch) -> None:
    """Replace the epoch that was seen. The same again changes nothing. Raises EpochMoved, StoreUnavailable."""
    before = msgspec.json.encode(seen) if seen.number else b""
    swap: Any = client.eval
    try:
        swapped = swap(_SWAP, 1, epoch_key(dataset), before, msgspec.json.encode(new))
    except RedisError as error:
        raise StoreUnavailable(f"Redis did not open epoch {new.number} of {dataset}: {error}") from error
    if not swapped:
        raise EpochMoved(f"the epoch of {dataset} is no more {seen.number} as it was seen; look again and decide again")


def unpin(client: redis.Redis, dataset: str) -> Epoch:
    """End the pinning, so that the cache becomes equal to its source again. Raises EpochMoved, StoreUnavailable."""
    seen = read_epoch(client, dataset)
    free = msgspec.structs.replace(seen, pinned=False)
    if seen.pinned:
        open_epoch(client, dataset, seen, free)
    return free


def epoch_of(held: bytes | None, dataset: str) -> Epoch:
    """What the key's bytes say; None: nobody opened an epoch. Raises StoreUnavailable for bytes that are none."""
    if held is None:
        return Epoch()
    try:
        return msgspec.json.decode(held, type=Epoch)
    except msgspec.DecodeError as error:
        raise StoreUnavailable(f"{epoch_key(dataset)} holds {held[:60]!r}, which is no epoch: {error}") from None


def _held(client: redis.Redis, dataset: str) -> bytes | None:
    try:
        held: Any = client.get(epoch_key(dataset))
    except RedisError as error:
        raise StoreUnavailable(f"Redis did not read the epoch of {dataset}: {error}") from error
    return bytes(held) if held is not None else None
