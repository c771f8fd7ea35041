"""Makes a backup: scan, shards, snapshot, manifest. It is there once its manifest is, and never in halves."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import msgspec
import redis
import structlog

from instrument_cache.backup.ahead import ahead
from instrument_cache.backup.catalog import BackupCatalog
from instrument_cache.backup.cipher import Cipher
from instrument_cache.backup.entries import Entry, pack
from instrument_cache.backup.manifest import (
    FORMAT,
    Manifest,
    Shard,
    Snapshot,
    data_prefix,
    digest,
    manifest_key,
    name_time,
)
from instrument_cache.backup.placing import Placing
from instrument_cache.backup.scan import FencedScan, Scanned, size_of
from instrument_cache.backup.signing import MANIFEST
from instrument_cache.backup.snapshot import Taken, take_snapshot
from instrument_cache.backup.spool import Spool, shards_for
from instrument_cache.contract import Contract
from instrument_cache.errors import BackupRefused, ObjectStoreUnavailable
from instrument_cache.objects import ObjectLock
from instrument_cache.scratch.folder import scratch_folder

_FREE_BYTES_MIN: Final = 100_000_000
logger = structlog.get_logger()
# (what is done, how much, of how much)
Progress = Callable[[str, int, int], None]


class Exported(msgspec.Struct, frozen=True):
    """What an export came to. `missing`: region's name → why the backup is not there. `others`: foreign keys seen."""

    name: str
    entries: int
    bytes: int
    missing: dict[str, str]
    others: int
    made: bool


@dataclass(frozen=True, slots=True)
class ExportOptions:
    """How long nobody may delete it (None: no lock), and whether Redis's own snapshot is taken too."""

    lock_h: int
    lock_mode: str
    snapshot: bool

    def lock(self, name: str) -> ObjectLock | None:
        """The lock of every object of a backup, so that all of them end at once."""
        return self.lock_from(name_time(name))

    def lock_from(self, moment: datetime) -> ObjectLock | None:
        """A lock that lasts as long as the settings say; None: there are no locks."""
        return ObjectLock(self.lock_mode, moment + timedelta(hours=self.lock_h)) if self.lock_h else None


class Export:
    """One export. Safe to repeat after it was killed anywhere: objects are named by what they hold."""

    def __init__(
        self,
        client: redis.Redis,
        contract: Contract,
        catalog: BackupCatalog,
        cipher: Cipher | None,
        options: ExportOptions,
    ) -> None:
        self._client, self._contract, self._catalog = client, contract, catalog
        self._cipher, self._options = cipher, options

    def run(self, name: str, progress: Progress = lambda what, done, total: None) -> Exported:
        """Make the backup of that name, or say what it is if it was made before.

        Raises StoreUnavailable, ScratchUnavailable, and ObjectStoreUnavailable only if no region takes it.
        """
        if (made := self._made_before(name)) is not None:
            return made
        with (
            scratch_folder(_FREE_BYTES_MIN) as folder,
            Placing(self._catalog.regions, self._options.lock(name)) as place,
        ):
            with self._snapshot(folder / "redis.rdb") as snapshot:
                spool, scanned = self._scanned(folder, progress)
                shards = list(self._shards(name, spool, place, progress))
                taken = self._placed_snapshot(name, snapshot, scanned, folder / "redis.rdb", place)
            place.settle()
            manifest = self._manifest(name, scanned, shards, spool.passed_over, taken)
            return self._published(manifest, scanned, place)

    def _made_before(self, name: str) -> Exported | None:
        for region in self._catalog.regions:
            try:
                return _exported(self._catalog.manifest(region, name), {}, 0, made=False)
            except (BackupRefused, ObjectStoreUnavailable):
                continue
        return None

    def _scanned(self, folder: Path, progress: Progress) -> tuple[Spool, Scanned]:
        total, held_bytes = size_of(self._client)
        spool = Spool(folder, shards_for(total, held_bytes))

        def on_page(page: bytes) -> None:
            spool.add(page)
            progress("scan", spool.entries, total)

        scanned = FencedScan(self._client, self._contract, on_page, spool.forget).run()
        spool.flush()
        return spool, scanned

    def _shards(self, name: str, spool: Spool, place: Placing, progress: Progress) -> Iterator[Shard]:
        entries = ahead(spool.shard, range(spool.shards))
        made = ahead(lambda item: self._shard(name, *item), enumerate(entries))
        for index, (shard, body) in enumerate(made):
            place.put(shard.key, body)
            progress("write", index + 1, spool.shards)
            yield shard

    def _shard(self, name: str, index: int, entries: Sequence[Entry]) -> tuple[Shard, bytes]:
        place = f"{data_prefix(self._contract.dataset, name)}{index:05d}"
        body = pack(entries)
        if self._cipher:
            body = self._cipher.encrypt(body, place)
        sha256 = digest(body)
        first, last = (entries[0].key, entries[-1].key) if entries else ("", "")
        key = f"{place}-{sha256[:16]}.bin"
        return Shard(key=key, entries=len(entries), bytes=len(body), sha256=sha256, first=first, last=last), body

    @contextmanager
    def _snapshot(self, path: Path) -> Iterator[Future[Taken] | None]:
        """Redis's snapshot, taken while the scan runs. Encrypted it would be none that a plain Redis starts from."""
        if not self._options.snapshot or self._cipher:
            yield None
            return
        with ThreadPoolExecutor(1, "snapshot") as pool:
            yield pool.submit(take_snapshot, self._client, path)

    def _placed_snapshot(
        self, name: str, snapshot: Future[Taken] | None, scanned: Scanned, path: Path, place: Placing
    ) -> Snapshot | None:
        if snapshot is None:
            return None
        taken = snapshot.result()
        if scanned.others:
            # It would carry off what belongs to somebody else.
            logger.warning("no_snapshot", reason="Redis holds keys of others", others=scanned.others)
            return None
        key = f"{data_prefix(self._contract.dataset, name)}redis-{taken.sha256[:16]}.rdb"
        place.put_file(key, path)
        return Snapshot(key=key, bytes=taken.bytes, sha256=taken.sha256)

    def _manifest(
        self, name: str, scanned: Scanned, shards: Sequence[Shard], passed_over: int, snapshot: Snapshot | None
    ) -> Manifest:
        return Manifest(
            format=FORMAT,
            name=name,
            dataset=self._contract.dataset,
            contract_version=self._contract.version,
            started_at=scanned.start.at,
            finished_at=scanned.end.at,
            entries=sum(shard.entries for shard in shards),
            shards=tuple(shards),
            positions=scanned.start.positions,
            epoch=scanned.start.epoch,
            encryption=self._cipher.encryption if self._cipher else None,
            snapshot=snapshot,
            passed_over=passed_over,
        )

    def _published(self, manifest: Manifest, scanned: Scanned, place: Placing) -> Exported:
        """The last step. Of two tries of one run the first one's manifest stays, in all regions alike."""
        body = self._catalog.keys.sign(MANIFEST, msgspec.json.encode(manifest))
        place.put(manifest_key(manifest.dataset, manifest.name), body)
        place.settle()
        return _exported(manifest, place.missing, scanned.others, made=True)


def _exported(manifest: Manifest, missing: dict[str, str], others: int, *, made: bool) -> Exported:
    return Exported(manifest.name, manifest.entries, manifest.bytes, dict(missing), others, made)
