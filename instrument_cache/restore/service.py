"""Restores of one dataset, with everything that they need. The CLI and the DAG use this."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import cached_property
from typing import Final

import msgspec
import redis

from instrument_cache.avro import AvroChangeDecoder
from instrument_cache.backup.catalog import BackupCatalog
from instrument_cache.backup.cipher import cipher
from instrument_cache.backup.manifest import Manifest
from instrument_cache.backup.reader import BackupReader
from instrument_cache.backup.region import Region, regions
from instrument_cache.backup.signing import signing_keys
from instrument_cache.change import ChangeDecoder
from instrument_cache.connections import redis_client
from instrument_cache.contract import Contract, load_contract
from instrument_cache.epoch import read_epoch
from instrument_cache.errors import RestoreRefused
from instrument_cache.history import note_restored
from instrument_cache.objects import ObjectStore
from instrument_cache.operation_lock import operation_lock
from instrument_cache.reconcile.plan import Order
from instrument_cache.reconcile.service import Reconcile
from instrument_cache.reports import Report, publish
from instrument_cache.restore.catch_up import CatchUp, CaughtUp
from instrument_cache.restore.checking import CheckProgress, check_region, checked_reader, chosen
from instrument_cache.restore.counts import Counts
from instrument_cache.restore.dry_store import DryStore
from instrument_cache.restore.epochs import SETTLE_S, carry_over, open_for
from instrument_cache.restore.interface import RestoreStore
from instrument_cache.restore.offering import Progress, offer_entries, silent
from instrument_cache.restore.patience import Patience
from instrument_cache.restore.plan import Plan, make_plan
from instrument_cache.restore.report import report_of
from instrument_cache.restore.request import Mode, RestoreRequest
from instrument_cache.restore.roll_back import RollBack
from instrument_cache.restore.scope import KeyFilter
from instrument_cache.schema_registry import registry_of
from instrument_cache.scratch.folder import scratch_folder
from instrument_cache.settings import Environment, contract_path, environment, redis_url, s3_settings
from instrument_cache.store.redis import RedisStore
from instrument_cache.store.target import Target
from instrument_cache.under_way import Step, under_way

LOCK: Final = "write"
# Redis may be away so long, as when it fails over, before a try is given up.
GIVE_UP_S: Final = 60.0
# For the names of all keys, while it is found out which ones a backup lacks.
_SPOOL_BYTES_MIN: Final = 200_000_000


def unchecked(entries: int) -> None:
    """No progress is shown."""


class Restores:
    """Connects on first use. Methods raise BackupRefused, RestoreRefused and Unavailable; all can be done again."""

    def __init__(
        self, env: Environment | None = None, give_up_s: float = GIVE_UP_S, settle_s: float = SETTLE_S
    ) -> None:
        """Raises SettingsError, ContractError."""
        self._env = env or environment()
        self._patience, self._settle_s = Patience(give_up_s), settle_s
        self.contract: Contract = load_contract(contract_path(self._env))
        self.dataset = self.contract.dataset

    @cached_property
    def client(self) -> redis.Redis:
        return redis_client(redis_url(self._env), name="restore")

    @cached_property
    def regions(self) -> list[Region]:
        return regions(self._env)

    @cached_property
    def catalog(self) -> BackupCatalog:
        return BackupCatalog(self.regions, self.dataset, signing_keys(self._env), self.contract)

    @cached_property
    def _store(self) -> RedisStore:
        return RedisStore(self.client, self.dataset)

    @cached_property
    def _target(self) -> Target:
        return Target(self.client)

    def plan(self, request: RestoreRequest, progress: Progress = silent, checked: CheckProgress = unchecked) -> Plan:
        """Check the backup whole and find out what would become of it; nothing is written."""
        check_region(request.region, [region.name for region in self.regions])
        with self._step("plan", request.run_id):
            return self._plan(request, progress, checked)

    def _plan(self, request: RestoreRequest, progress: Progress, checked: CheckProgress) -> Plan:
        manifest = chosen(self.catalog, request)
        _check_not_empty(manifest, request)
        wanted = KeyFilter(self.contract, request.scope)
        reader = checked_reader(self.catalog, manifest.name, request.region, cipher(self._env), wanted, checked)
        epoch = read_epoch(self.client, self.dataset)
        plan = make_plan(self.contract, request, manifest, reader.region.name, epoch, Counts())
        return msgspec.structs.replace(plan, counts=self._bring_back(plan, reader, DryStore(self._store), progress))

    def restore(self, plan: Plan, progress: Progress = silent, checked: CheckProgress = unchecked) -> Counts:
        """Check the backup whole again, then bring it back."""
        run_id = plan.request.run_id
        with self._step("restore", run_id), operation_lock(self.client, self.dataset, LOCK, run_id) as lock:
            reader = self._reader(plan, checked)

            def once() -> Counts:
                self._enter_epoch(plan, reader)
                return self._bring_back(plan, reader, self._store, _while_held(lock.check, progress))

            return self._target.on_one_server(once)

    def catch_up(self, plan: Plan, progress: Progress = silent) -> CaughtUp:
        """Apply what the log holds since the backup, and leave the note for who follows the stream.

        After a roll back nothing is applied: it would bring back what was rolled back.
        """
        run_id = plan.request.run_id
        with self._step("catch_up", run_id), operation_lock(self.client, self.dataset, LOCK, run_id) as lock:
            done = CaughtUp(Counts())
            if not plan.is_roll_back:
                done = self._catch_up(plan, _while_held(lock.check, progress))
            scope = plan.request.scope
            note_restored(self.client, self.dataset, run_id, plan.backup, scope.text, list(scope.keys))
            return done

    def reconcile(self, plan: Plan) -> str:
        """Compare with the source, repair what needs no approval, and say in one line what was found.

        After a roll back it only compares: the cache is meant to differ. Raises OperationRunning too.
        """
        run_id = plan.request.run_id
        with self._step("reconcile", run_id):
            reconcile = Reconcile(self._env)
            found = reconcile.compare(run_id, Order(dry_run=plan.is_roll_back, effort_percent=100))
            if not found.reasons:
                reconcile.repair(run_id)
            return reconcile.report(run_id).sentence

    def publish(self, plan: Plan, restored: Counts, caught_up: CaughtUp, reconciled: str) -> Report:
        """Write the report; of one run there is one."""
        with self._step("report", plan.request.run_id):
            report = report_of(plan, restored, caught_up, reconciled)
            publish(ObjectStore(s3_settings(self._env)), self.client, report)
            return report

    def _step(self, name: str, run_id: str) -> AbstractContextManager[Step]:
        return under_way(self.client, self.dataset, "restore", name, run_id)

    def _catch_up(self, plan: Plan, progress: Progress) -> CaughtUp:
        manifest = self.catalog.named(plan.backup)
        decoder = ChangeDecoder(self.contract, avro=AvroChangeDecoder(self.contract, registry_of(self._env)))
        bootstrap = self._env.text("ICACHE_KAFKA_BOOTSTRAP")
        log = CatchUp(bootstrap, self.contract, self._store, decoder, self._patience)
        starts = log.starts(manifest.positions)
        counts = self._target.on_one_server(lambda: log.run(starts, plan.request.scope, progress))
        return CaughtUp(counts, starts.lost)

    def _reader(self, plan: Plan, checked: CheckProgress) -> BackupReader:
        wanted = KeyFilter(self.contract, plan.request.scope)
        return checked_reader(self.catalog, plan.backup, plan.region, cipher(self._env), wanted, checked)

    def _enter_epoch(self, plan: Plan, reader: BackupReader) -> None:
        if plan.is_roll_back:
            open_for(self.client, plan, self._settle_s)
        else:
            carry_over(self.client, plan, reader.manifest)

    def _bring_back(self, plan: Plan, reader: BackupReader, store: RestoreStore, progress: Progress) -> Counts:
        wanted, now_ms = KeyFilter(self.contract, plan.request.scope), self._target.now_ms
        if not plan.is_roll_back:
            return offer_entries(reader.entries(), wanted, store, now_ms, self._patience, progress)
        with scratch_folder(_SPOOL_BYTES_MIN) as folder:
            return RollBack(self.contract, store, wanted, now_ms, self._patience, progress).run(reader, folder)


def _check_not_empty(manifest: Manifest, request: RestoreRequest) -> None:
    if request.mode is Mode.ROLL_BACK and not manifest.entries:
        raise RestoreRefused(f"the backup {manifest.name} is empty: to roll back to it would delete everything")


def _while_held(check: Callable[[], None], progress: Progress) -> Progress:
    """Progress that ends a try whose lock was lost."""

    def checked(counts: Counts) -> None:
        check()
        progress(counts)

    return checked
