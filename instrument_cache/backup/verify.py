"""Restores a backup into a scratch Redis and compares it key by key, so that what cannot be restored never counts.

What is restored is read from one region and what it is compared with from another, so both copies are proved. It goes
by groups of shards, so that the scratch Redis never holds all of a large backup.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Callable, Iterator, Sequence
from importlib import resources
from itertools import islice
from typing import Any, Final

import msgspec
from redis.exceptions import RedisError

from instrument_cache.backup.ahead import ahead
from instrument_cache.backup.entries import Entry
from instrument_cache.backup.manifest import Manifest, Snapshot
from instrument_cache.backup.reader import BackupReader
from instrument_cache.errors import BackupError, BackupRefused, ScratchUnavailable, StoreUnavailable
from instrument_cache.scratch.folder import scratch_folder
from instrument_cache.scratch.redis import ScratchRedis, scratch_redis
from instrument_cache.store.redis import RedisStore

_GROUP_SHARDS: Final = 16
_COMPARED_AT_ONCE: Final = 2000
# An entry that ends within so much is not looked for: it may end between the restore and the look.
_ENDS_SOON_MS: Final = 60_000
_MEMORY_BYTES_MAX: Final = 4_000_000_000
_SCRIPT: Final = resources.files("instrument_cache.backup").joinpath("held.lua").read_bytes()
_HELD: Final = struct.Struct("<Iq")


class Verified(msgspec.Struct, frozen=True):
    """The proof: how many entries were restored and found equal, and how many had expired before they could be.

    `snapshot_keys`: keys of a plain Redis that was started from Redis's own snapshot; -1 if the backup has none.
    """

    name: str
    compared: int
    expired: int
    snapshot_keys: int
    regions: list[str]


class BackupDiffers(BackupError):
    """The restored cache is not what was exported."""


def verify(copies: Sequence[BackupReader], progress: Callable[[int], None] = lambda entries: None) -> Verified:
    """Prove each of these copies of one backup. `progress`: entries that were compared.

    Raises BackupRefused (a copy is damaged), BackupDiffers, ScratchUnavailable, ObjectStoreUnavailable.
    """
    restored, manifest = copies[0], copies[0].manifest
    with scratch_redis(memory_bytes_max=_MEMORY_BYTES_MAX) as scratch:
        verifier = _Verifier(scratch, manifest)
        groups = iter(range(len(manifest.shards)))
        while group := list(islice(groups, _GROUP_SHARDS)):
            verifier.restore(restored, group)
            verifier.compare(copies[-1], group, progress)
    for copy in copies[1:-1]:
        copy.check()
    keys = max((_started_from_snapshot(copy, manifest.snapshot) for copy in copies), default=-1)
    names = [copy.region.name for copy in copies]
    return Verified(manifest.name, verifier.compared, verifier.expired, keys, names)


class _Verifier:
    def __init__(self, scratch: ScratchRedis, manifest: Manifest) -> None:
        self._client: Any = scratch.client()
        self._manifest = manifest
        self._store = RedisStore(self._client, manifest.dataset)
        self.compared = 0
        self.expired = 0

    def restore(self, copy: BackupReader, group: Sequence[int]) -> None:
        """Empty the scratch Redis and restore some shards, as a restore does: through the guard."""
        self._client.flushall()
        for entries in _shards(copy, group):
            expires = {entry.key: entry.expires_at_ms for entry in entries if entry.expires_at_ms}
            try:
                self._store.offer({entry.key: entry.value for entry in entries}, expires)
            except StoreUnavailable as error:
                raise _scratch_failed(error) from error

    def compare(self, copy: BackupReader, group: Sequence[int], progress: Callable[[int], None]) -> None:
        """Every entry of the shards, by its bytes and its expiry; and nothing else may be there."""
        expected = 0
        for entries in _shards(copy, group):
            expected += self._compare_shard(entries)
            progress(len(entries))
        found = self._client.dbsize()
        if not expected <= found <= sum(self._manifest.shards[index].entries for index in group):
            raise BackupDiffers(f"{self._manifest.name}: {expected} keys were restored and {found} are there")

    def _compare_shard(self, shard: Sequence[Entry]) -> int:
        soon_ms = time.time_ns() // 1_000_000 + _ENDS_SOON_MS
        lasting = 0
        for entries in _runs(shard):
            live = [entry for entry in entries if not entry.expires_at_ms or entry.expires_at_ms > soon_ms]
            lasting += len(live)
            self.expired += len(entries) - len(live)
            self.compared += len(live)
            self._compare(live)
        return lasting

    def _compare(self, entries: Sequence[Entry]) -> None:
        """All at once; only if they differ, one by one, to say which."""
        if not entries or self._held(entries) == b"".join(map(_as_held, entries)):
            return
        for entry in entries:
            if (held := self._held([entry])) != _as_held(entry):
                length, at_ms = _HELD.unpack_from(held)
                value = held[_HELD.size : _HELD.size + length]
                raise BackupDiffers(
                    f"{self._manifest.name}: {entry.key!r} was {entry.value!r}, expiring at {entry.expires_at_ms}; "
                    f"restored it is {value!r}, expiring at {at_ms}"
                )

    def _held(self, entries: Sequence[Entry]) -> bytes:
        held: bytes = self._client.eval(_SCRIPT, len(entries), *[entry.key for entry in entries])
        return held


def _shards(copy: BackupReader, group: Sequence[int]) -> Iterator[list[Entry]]:
    """The entries of each shard; the next one is read while Redis has one."""
    shards = [copy.manifest.shards[index] for index in group]
    yield from ahead(copy.shard, shards)


def _as_held(entry: Entry) -> bytes:
    """What `held.lua` says of it."""
    return _HELD.pack(len(entry.value), entry.expires_at_ms or -1) + entry.value


def _started_from_snapshot(copy: BackupReader, snapshot: Snapshot | None) -> int:
    """Start a plain Redis from the snapshot and count its keys; -1 if there is none."""
    if snapshot is None:
        return -1
    with scratch_folder(snapshot.bytes) as folder:
        path = folder / "redis.rdb"
        copy.snapshot(snapshot, path)
        try:
            with scratch_redis(rdb=path, memory_bytes_max=_MEMORY_BYTES_MAX) as plain:
                return _keys(plain)
        except ScratchUnavailable as error:
            raise BackupRefused("altered", f"no Redis starts from {snapshot.key!r}: {error}") from error


def _keys(plain: ScratchRedis) -> int:
    """How many it holds once it has loaded."""
    client: Any = plain.client()
    deadline_s = time.monotonic() + 120.0
    while client.info("persistence")["loading"]:
        if time.monotonic() > deadline_s:
            raise ScratchUnavailable("a plain Redis does not load the snapshot within 120 s")
        time.sleep(0.05)
    return int(client.dbsize())


def _scratch_failed(error: StoreUnavailable) -> Exception:
    cause = error.__cause__
    if isinstance(cause, RedisError):
        return ScratchUnavailable(f"the scratch Redis did not take the backup: {cause}; make room and try again")
    return error


def _runs(entries: Sequence[Entry]) -> Iterator[Sequence[Entry]]:
    for at in range(0, len(entries), _COMPARED_AT_ONCE):
        yield entries[at : at + _COMPARED_AT_ONCE]
