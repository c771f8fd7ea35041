"""Brings each region up to the others: copies what it missed while it was away, and mends what was damaged."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from instrument_cache.backup.catalog import BackupCatalog
from instrument_cache.backup.manifest import Snapshot, good_key, manifest_key
from instrument_cache.backup.reader import BackupReader
from instrument_cache.backup.region import Region
from instrument_cache.errors import BackupRefused, ObjectStoreUnavailable
from instrument_cache.objects import ObjectLock
from instrument_cache.scratch.folder import scratch_folder

Lock = Callable[[str], ObjectLock | None]


class Copied(msgspec.Struct):
    """`copied`: region's name → the backups that it was given. `missing`: regions that did not answer, and why.

    `failed`: backup → why no region has a copy that could be given to the others.
    """

    copied: dict[str, list[str]] = msgspec.field(default_factory=dict)
    missing: dict[str, str] = msgspec.field(default_factory=dict)
    failed: dict[str, str] = msgspec.field(default_factory=dict)


class Copying:
    """Copies good backups between the regions of a catalog. `lock` says how long a backup must not be deleted."""

    def __init__(self, catalog: BackupCatalog, lock: Lock) -> None:
        self._catalog, self._lock = catalog, lock

    def run(self, deep: bool = False, progress: Callable[[str], None] = lambda name: None) -> Copied:
        """Fill every region. `deep`: read all data of each copy too, and mend what is damaged. Safe to repeat."""
        done = Copied()
        for name in self._catalog.good_names():
            progress(name)
            self._fill(name, deep, done)
        return done

    def plan(self, deep: bool = False) -> Copied:
        """What `run` would give to each region; nothing is written."""
        found = Copied()
        for name in self._catalog.good_names():
            for region in self._lacking(name, deep, found):
                found.copied.setdefault(region.name, []).append(name)
        return found

    def _lacking(self, name: str, deep: bool, done: Copied) -> list[Region]:
        """The regions without a whole copy of a good backup."""
        return [region for region in self._catalog.regions if not self._has(region, name, deep, done)]

    def _has(self, region: Region, name: str, deep: bool, done: Copied) -> bool:
        """True also for a region that does not answer: nothing can be done for it now."""
        if region.name in done.missing:
            return True
        try:
            reader = BackupReader(region, self._catalog.checked(region, name))
            if deep:
                _check_objects(reader)
            return True
        except BackupRefused:
            return False
        except ObjectStoreUnavailable as error:
            done.missing[region.name] = str(error)
            return True

    def _fill(self, name: str, deep: bool, done: Copied) -> None:
        lacking = self._lacking(name, deep, done)
        for region in lacking:
            try:
                self._copy(name, region, [other for other in self._catalog.regions if other not in lacking])
                done.copied.setdefault(region.name, []).append(name)
            except BackupRefused as error:
                done.failed[name] = str(error)
            except ObjectStoreUnavailable as error:
                done.missing[region.name] = str(error)

    def _copy(self, name: str, target: Region, sources: list[Region]) -> None:
        """From the first source whose every object is right; the mark last."""
        refused = BackupRefused("unknown", f"no region has a whole copy of {name}")
        for source in sources:
            try:
                manifest = self._catalog.checked(source, name)
                self._copy_data(BackupReader(source, manifest), target)
            except BackupRefused as error:
                refused = error
                continue
            for key in (manifest_key(manifest.dataset, name), good_key(manifest.dataset, name)):
                self._put(target, key, source.objects.get(key), name)
            return
        raise refused

    def _copy_data(self, reader: BackupReader, target: Region) -> None:
        manifest = reader.manifest
        for shard in manifest.shards:
            self._put(target, shard.key, reader.stored(shard), manifest.name)
        if manifest.snapshot is not None:
            self._copy_snapshot(manifest.snapshot, reader, target)

    def _copy_snapshot(self, snapshot: Snapshot, reader: BackupReader, target: Region) -> None:
        if _has_snapshot(BackupReader(target, reader.manifest), snapshot):
            return
        with scratch_folder(snapshot.bytes) as folder:
            reader.snapshot(snapshot, folder / "redis.rdb")
            target.objects.put_file(snapshot.key, folder / "redis.rdb", self._lock(reader.manifest.name))

    def _put(self, target: Region, key: str, body: bytes, name: str) -> None:
        """Write it, or write over what lies there if that is something else."""
        lock = self._lock(name)
        if not target.objects.put_once(key, body, lock=lock) and target.objects.get(key) != body:
            target.objects.put_over(key, body, lock)


def _check_objects(reader: BackupReader) -> None:
    for shard in reader.manifest.shards:
        reader.stored(shard)
    reader.check_snapshot()


def _has_snapshot(reader: BackupReader, snapshot: Snapshot) -> bool:
    if reader.region.objects.size(snapshot.key) != snapshot.bytes:
        return False
    try:
        reader.check_snapshot()
    except BackupRefused:
        return False
    return True
