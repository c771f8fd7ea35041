"""The backups of one dataset, with everything that is asked of them. The CLI and the DAG use this."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, Final

import msgspec
import redis
import structlog

from instrument_cache.backup.catalog import BackupCatalog
from instrument_cache.backup.cipher import Cipher, cipher
from instrument_cache.backup.copying import Copied, Copying
from instrument_cache.backup.export import Export, Exported, ExportOptions, Progress
from instrument_cache.backup.listing import rows
from instrument_cache.backup.manifest import Good, Manifest, backup_name, digest, good_key, manifest_key
from instrument_cache.backup.reader import BackupReader
from instrument_cache.backup.region import Region, regions
from instrument_cache.backup.retention import Policy, Protected, Removed, apply_policy, protect_newest
from instrument_cache.backup.scan import redis_time_us, size_of
from instrument_cache.backup.signing import GOOD, signing_keys
from instrument_cache.backup.summary import Steps, report
from instrument_cache.backup.verify import Verified, verify
from instrument_cache.connections import redis_client
from instrument_cache.contract import Contract, load_contract
from instrument_cache.errors import BackupError, BackupRefused, ObjectStoreUnavailable, SettingsError
from instrument_cache.objects import ObjectStore
from instrument_cache.operation_lock import operation_lock
from instrument_cache.reports import Report, publish
from instrument_cache.settings import (
    Environment,
    S3Settings,
    contract_path,
    environment,
    redis_url,
    s3_second_settings,
    s3_settings,
)
from instrument_cache.under_way import Step, under_way

_LOCK_MODES: Final = ("GOVERNANCE", "COMPLIANCE")
# The lock, and what the doctor is told.
_LOCK: Final = "backup"
logger = structlog.get_logger()


class Shrunk(BackupError):
    """The cache holds so much less than at the last good backup that a fault is likelier than the truth."""


class Backups:
    """Connects on first use. Methods raise StoreUnavailable, ObjectStoreUnavailable, ScratchUnavailable."""

    def __init__(self, env: Environment | None = None) -> None:
        """Raises SettingsError, ContractError."""
        self._env = env or environment()
        self.contract: Contract = load_contract(contract_path(self._env))
        self.dataset = self.contract.dataset

    @cached_property
    def client(self) -> redis.Redis:
        return redis_client(redis_url(self._env), name="backup", timeout_s=15.0)

    @cached_property
    def regions(self) -> list[Region]:
        return regions(self._env)

    @cached_property
    def cipher(self) -> Cipher | None:
        return cipher(self._env)

    @cached_property
    def catalog(self) -> BackupCatalog:
        return BackupCatalog(self.regions, self.dataset, signing_keys(self._env), self.contract)

    @cached_property
    def options(self) -> ExportOptions:
        """Raises SettingsError."""
        mode = self._env.text("ICACHE_BACKUP_LOCK_MODE", "GOVERNANCE")
        if mode not in _LOCK_MODES:
            raise SettingsError(f"ICACHE_BACKUP_LOCK_MODE is {mode!r}; it must be one of {', '.join(_LOCK_MODES)}")
        hours = self._env.integer("ICACHE_BACKUP_LOCK_HOURS", default=24, low=0, high=87600)
        return ExportOptions(hours, mode, self._env.boolean("ICACHE_BACKUP_RDB", True))

    @cached_property
    def policy(self) -> Policy:
        """Raises SettingsError."""
        return Policy(
            count=self._env.integer("ICACHE_BACKUP_KEEP_COUNT", default=96, low=1, high=100000),
            days=self._env.integer("ICACHE_BACKUP_KEEP_DAYS", default=7, low=1, high=36500),
        )

    @property
    def shrink_percent_max(self) -> int:
        return self._env.integer("ICACHE_BACKUP_SHRINK_PERCENT_MAX", default=30, low=0, high=100)

    def readers(self, name: str) -> list[BackupReader]:
        """The copies of a good backup. Raises BackupRefused."""
        return [BackupReader(region, manifest, self.cipher) for region, manifest in self.catalog.copies(name)]

    def export(self, run_id: str, moment: datetime, progress: Progress = lambda what, done, total: None) -> Exported:
        """Make the backup of a run, or find it made.

        Raises OperationRunning if another run makes one now, SettingsError without a signing key.
        """
        with self._step("export", run_id), operation_lock(self.client, self.dataset, _LOCK, run_id):
            self.catalog.keys.check_signs()
            export = Export(self.client, self.contract, self.catalog, self.cipher, self.options)
            return export.run(backup_name(run_id, moment), progress)

    def verify(self, name: str, progress: Callable[[int], None] = lambda entries: None) -> Verified:
        """Restore it into a scratch Redis and compare. A region whose copy is missing or damaged is left out.

        Raises BackupRefused if no copy is whole, BackupDiffers.
        """
        with self._step("verify", name):
            return self._verify(name, progress)

    def _verify(self, name: str, progress: Callable[[int], None]) -> Verified:
        signed = self._signed(name)
        # Two tries of one run at once may have published a manifest each, in a region each.
        copies = [BackupReader(region, found, self.cipher) for region, found in signed if found == signed[0][1]]
        try:
            return verify(copies, progress)
        except (BackupRefused, ObjectStoreUnavailable) as error:
            sound = [copy for copy in copies if _is_sound(copy)]
            if not sound or len(sound) == len(copies):
                raise
            logger.error("a_copy_is_left_out", name=name, error=str(error))
            return verify(sound, progress)

    def _signed(self, name: str) -> list[tuple[Region, Manifest]]:
        """The regions with a signed manifest of that name. Raises BackupRefused if there is none."""
        found: list[tuple[Region, Manifest]] = []
        failures: list[Exception] = []
        for region in self.regions:
            try:
                found.append((region, self.catalog.manifest(region, name)))
            except (BackupRefused, ObjectStoreUnavailable) as error:
                failures.append(error)
        if not found:
            raise failures[0]
        return found

    def mark_good(self, verified: Verified, accept_smaller: bool = False) -> list[str]:
        """Mark the proved copies as good; returns their regions. Raises Shrunk, BackupRefused."""
        with self._step("mark_good", verified.name):
            return self._mark_good(verified, accept_smaller)

    def _mark_good(self, verified: Verified, accept_smaller: bool) -> list[str]:
        copies = [
            (region, manifest) for region, manifest in self._signed(verified.name) if region.name in verified.regions
        ]
        if not accept_smaller:
            self._check_size(copies[0][1])
        marked: list[str] = []
        failure: ObjectStoreUnavailable | None = None
        for region, _ in copies:
            try:
                self._mark(region, verified)
                marked.append(region.name)
            except ObjectStoreUnavailable as error:
                failure = error
        if not marked and failure:
            raise failure
        return marked

    def _mark(self, region: Region, verified: Verified) -> None:
        body = region.objects.get(manifest_key(self.dataset, verified.name))
        mark = Good(
            name=verified.name,
            dataset=self.dataset,
            manifest_sha256=digest(body),
            verified_at=datetime.now(UTC).isoformat(timespec="seconds"),
            compared=verified.compared,
        )
        signed = self.catalog.keys.sign(GOOD, msgspec.json.encode(mark))
        region.objects.put_once(good_key(self.dataset, verified.name), signed, lock=self.options.lock(verified.name))

    def _check_size(self, manifest: Manifest) -> None:
        """An emptied cache must not push out the backups that could fill it."""
        before = next((good.entries for good in self.catalog.each_good() if good.name < manifest.name), 0)
        least = before * (100 - self.shrink_percent_max) // 100
        if manifest.entries < max(least, 1):
            raise Shrunk(
                f"{manifest.name} holds {manifest.entries} entries, the last good backup {before}; at most "
                f"{self.shrink_percent_max} % fewer are believed. Look at the cache; if it is right: "
                f"`icache backup verify {manifest.name} --accept-smaller`"
            )

    def copy(self, run_id: str, deep: bool = False, progress: Callable[[str], None] = lambda name: None) -> Copied:
        """Give each region the good backups that it lacks; `deep`: and mend what is damaged."""
        with self._step("fill_regions", run_id), operation_lock(self.client, self.dataset, _LOCK, run_id):
            return Copying(self.catalog, self.options.lock).run(deep, progress)

    def retain(self, run_id: str) -> Removed:
        """Remove what the policy does not keep."""
        with self._step("retention", run_id), operation_lock(self.client, self.dataset, _LOCK, run_id):
            return self._retain(dry_run=False)

    def protect(self) -> Protected:
        """Lengthen the Object Lock of each region's newest good backup; nothing without locks."""
        now = datetime.fromtimestamp(self._now_s(), UTC)
        lock = self.options.lock_from(now)
        return protect_newest(self.regions, self.dataset, lock, now, self._is_good) if lock else Protected()

    def _retain(self, dry_run: bool) -> Removed:
        now = datetime.fromtimestamp(self._now_s(), UTC)
        return apply_policy(self.regions, self.dataset, self.policy, now, self._is_good, dry_run)

    def _is_good(self, region: Region, name: str) -> bool:
        try:
            self.catalog.checked(region, name)
        except BackupRefused:
            return False
        return True

    def lacking(self, deep: bool = False) -> Copied:
        """What `copy` would give to each region."""
        return Copying(self.catalog, self.options.lock).plan(deep)

    def listing(self) -> list[dict[str, Any]]:
        """Every backup, the newest first (see `listing.rows`)."""
        return list(rows(self.catalog))

    def entries(self, name: str) -> int:
        """How many entries a backup holds, good or not. Raises BackupRefused."""
        return self._signed(name)[0][1].entries

    def plan(self) -> dict[str, Any]:
        """What a run would do now; nothing is written."""
        would = self._retain(dry_run=True)
        return {
            "dataset": self.dataset,
            "keys_in_redis": size_of(self.client)[0],
            "regions": {region.name: would.missing.get(region.name, "answers") for region in self.regions},
            "encrypted": self.cipher is not None,
            "would_remove": would.removed,
        }

    def publish(self, run_id: str, started: datetime, steps: Steps) -> Report:
        """Publish what a run came to; in the other region if the own one is away."""
        with self._step("report", run_id):
            return self._publish(run_id, started, steps)

    def _publish(self, run_id: str, started: datetime, steps: Steps) -> Report:
        steps.clock_ahead_s = self.clock_ahead_s()
        times = (started.isoformat(timespec="seconds"), datetime.now(UTC).isoformat(timespec="seconds"))
        made = report(self.dataset, run_id, *times, steps, [region.name for region in self.regions])
        for left, settings in self._report_places():
            try:
                publish(ObjectStore(settings), self.client, made)
                break
            except ObjectStoreUnavailable:
                if not left:
                    raise
        return made

    def _step(self, name: str, run_id: str) -> AbstractContextManager[Step]:
        return under_way(self.client, self.dataset, _LOCK, name, run_id)

    def _report_places(self) -> list[tuple[int, S3Settings]]:
        """How many places are left behind it, and the place."""
        places = [place for place in (s3_settings(self._env), s3_second_settings(self._env)) if place]
        return list(zip(range(len(places) - 1, -1, -1), places, strict=True))

    def clock_ahead_s(self) -> float:
        """How far this machine's clock is ahead of Redis's, by which backups are dated."""
        return time.time() - self._now_s()

    def _now_s(self) -> float:
        return redis_time_us(self.client) / 1e6


def _is_sound(copy: BackupReader) -> bool:
    """Whether every object of a copy is there and right."""
    try:
        copy.check()
        copy.check_snapshot()
    except (BackupRefused, ObjectStoreUnavailable):
        return False
    return True
