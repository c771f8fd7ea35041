"""Reads one region's copy of a backup, shard by shard: a shard is given out only after its digest was checked."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

from instrument_cache.backup.cipher import Cipher
from instrument_cache.backup.entries import Entry, shard_of, unpack
from instrument_cache.backup.manifest import Manifest, Shard, Snapshot, digest
from instrument_cache.backup.region import Region
from instrument_cache.errors import BackupRefused, ObjectMissing, ScratchUnavailable
from instrument_cache.scratch.folder import scratch_folder


class BackupReader:
    """One copy. Methods raise BackupRefused and ObjectStoreUnavailable."""

    def __init__(self, region: Region, manifest: Manifest, cipher: Cipher | None = None) -> None:
        self.region, self.manifest = region, manifest
        self._cipher = cipher

    def check(self, progress: Callable[[int], None] = lambda _: None) -> None:
        """Read every shard and check digest, count and keys; gives out nothing. `progress`: entries of a shard."""
        for shard in self.manifest.shards:
            self.shard(shard)
            progress(shard.entries)
        found = sum(shard.entries for shard in self.manifest.shards)
        if found != self.manifest.entries:
            raise BackupRefused("altered", f"the manifest counts {self.manifest.entries} entries, its shards {found}")

    def entries(self) -> Iterator[Entry]:
        """Every entry, each key once."""
        for shard in self.manifest.shards:
            yield from self.shard(shard)

    def entries_of(self, keys: frozenset[str]) -> Iterator[Entry]:
        """The entries of some full keys (`instr:037833100`); reads only the shards that may hold them."""
        count = len(self.manifest.shards)
        wanted = {shard_of(key.encode(), count) for key in keys} if count else set()
        for index in sorted(wanted):
            yield from (entry for entry in self.shard(self.manifest.shards[index]) if entry.key in keys)

    def shard(self, shard: Shard) -> list[Entry]:
        """The entries of one shard, checked, in the order of their keys."""
        stored = self.stored(shard)
        place = f"{self.manifest.name}, shard {shard.key.rpartition('/')[2]}"
        entries = unpack(self._opened(stored, shard), place)
        bounds = (entries[0].key, entries[-1].key) if entries else ("", "")
        if (len(entries), bounds) != (shard.entries, (shard.first, shard.last)):
            raise BackupRefused("altered", f"{place} holds {len(entries)} entries {bounds}, not what the manifest says")
        return entries

    def _opened(self, stored: bytes, shard: Shard) -> bytes:
        wanted = self.manifest.encryption
        if wanted is None:
            return stored
        if self._cipher is None or self._cipher.encryption != wanted:
            raise BackupRefused(
                "wrong_key",
                f"{self.manifest.name} is encrypted with the key {wanted.key_id}; "
                "give that one as ICACHE_BACKUP_ENCRYPTION_KEY",
            )
        return self._cipher.decrypt(stored, _place(shard.key))

    def stored(self, shard: Shard) -> bytes:
        """The object of a shard as it lies there, checked."""
        what = f"the object {shard.key!r} in the {self.region.name} region"
        try:
            body = self.region.objects.get(shard.key)
        except ObjectMissing:
            raise BackupRefused("missing_shard", f"{what} is not there") from None
        if len(body) < shard.bytes:
            raise BackupRefused("truncated", f"{what} has {len(body)} bytes of {shard.bytes}")
        if digest(body) != shard.sha256:
            raise BackupRefused("altered", f"{what} is not what was written: its SHA-256 differs")
        return body

    def check_snapshot(self) -> None:
        """Check Redis's own snapshot, if the backup has one."""
        if self.manifest.snapshot is not None:
            with scratch_folder(self.manifest.snapshot.bytes) as folder:
                self.snapshot(self.manifest.snapshot, folder / "redis.rdb")

    def snapshot(self, snapshot: Snapshot, path: Path) -> None:
        """Redis's own snapshot into a file, checked."""
        what = f"the object {snapshot.key!r} in the {self.region.name} region"
        try:
            self.region.objects.get_file(snapshot.key, path)
        except ObjectMissing:
            raise BackupRefused("missing_shard", f"{what} is not there") from None
        except OSError as error:
            raise ScratchUnavailable(f"{path} took no more of {what}: {error.strerror}; make room") from error
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != snapshot.sha256:
            raise BackupRefused("altered", f"{what} is not what was written: its SHA-256 differs")


def _place(key: str) -> str:
    """What an encrypted object is bound to: its name without the digest, which is not known before it is encrypted."""
    return key.rpartition("-")[0]
