"""Reconciliation of one dataset with everything that is asked of it. The CLI and the DAG use this."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from datetime import UTC, datetime
from functools import cached_property
from typing import Final

import msgspec
import redis
import structlog

from instrument_cache.clock import SystemClock
from instrument_cache.connections import redis_client
from instrument_cache.contract import Contract, load_contract
from instrument_cache.epoch import read_epoch, unpin
from instrument_cache.errors import ReconcileError
from instrument_cache.history import NAMED_KEYS_MAX, note_restored
from instrument_cache.kafka import Span, topic_spans
from instrument_cache.objects import ObjectStore
from instrument_cache.operation_lock import HeldLock, operation_lock
from instrument_cache.reconcile.compare import Before, Comparison, Throttle
from instrument_cache.reconcile.fence import LogFence
from instrument_cache.reconcile.model import WRONG, Progress
from instrument_cache.reconcile.outcome import DRY_RUN, OPERATION, REFUSED, REPAIRED, iso, report_of
from instrument_cache.reconcile.plan import Order, Plan, PlanStore
from instrument_cache.reconcile.repair import Repair
from instrument_cache.reconcile.retention import remove_plans
from instrument_cache.reconcile.second_look import SecondLook
from instrument_cache.reconcile.settled import LogSettling
from instrument_cache.reconcile.wants import Wants
from instrument_cache.reports import Report, newest, publish, read
from instrument_cache.settings import Environment, contract_path, environment, redis_url, s3_settings
from instrument_cache.source.interface import Source
from instrument_cache.source.registry import open_source
from instrument_cache.store.redis import RedisStore
from instrument_cache.store.target import Target
from instrument_cache.under_way import Step, under_way

logger = structlog.get_logger()
LOCK: Final = "reconcile"
# Whoever replaces values on purpose holds it: this repair, and a restore.
WRITE_LOCK: Final = "write"

# What readers of the change stream are told of it.
REPAIR: Final = "a repair by reconciliation"


class Reconcile:
    """Connects on first use. Methods raise SourceUnavailable, StoreUnavailable, ObjectStoreUnavailable."""

    def __init__(self, env: Environment | None = None) -> None:
        """Raises SettingsError, ContractError."""
        self._env = env or environment()
        self._clock = SystemClock()
        self.contract: Contract = load_contract(contract_path(self._env))
        self.dataset = self.contract.dataset

    @cached_property
    def client(self) -> redis.Redis:
        return redis_client(redis_url(self._env), name="reconcile")

    @cached_property
    def store(self) -> RedisStore:
        return RedisStore(self.client, self.dataset)

    @cached_property
    def objects(self) -> ObjectStore:
        return ObjectStore(s3_settings(self._env))

    def plans(self, run_id: str) -> PlanStore:
        """Where the plan of a run is kept."""
        return PlanStore(self.objects, self.dataset, run_id)

    def compare(self, run_id: str, order: Order, progress: Progress = lambda *_: None) -> Plan:
        """The plan of this run. If an earlier try has made it, that one counts. Raises OperationRunning too."""
        with self._step("compare", run_id) as step:
            plan = self._compare(run_id, order, progress)
            if plan.reasons and not plan.order.dry_run:
                step.asks("; ".join(plan.reasons))
            return plan

    def _compare(self, run_id: str, order: Order, progress: Progress) -> Plan:
        plans = self.plans(run_id)
        with operation_lock(self.client, self.dataset, LOCK, run_id), self._source() as source:
            if found := plans.load():
                return found
            if order.unpin and not order.dry_run:
                self._unpin(run_id)
            fence = LogFence(self._bootstrap, self.dataset)
            settling = LogSettling(self.store, self.dataset, self._spans, fence, order.grace_s)
            comparison = Comparison(self.contract, source, self.store, settling, self._clock)
            epoch = read_epoch(self.client, self.dataset)
            return comparison.run(plans, run_id, order, self.before(), epoch, progress)

    def _unpin(self, run_id: str) -> None:
        """Raises EpochMoved."""
        epoch = unpin(self.client, self.dataset)
        logger.info("epoch_unpinned", dataset=self.dataset, number=epoch.number, run_id=run_id)

    def repair(self, run_id: str, *, approved: bool = False, progress: Progress = lambda *_: None) -> Plan:
        """Repair what the plan of this run names; a dry run repairs nothing.

        Raises ReconcileError if it is to be approved and was not, or if the cache was rolled back since; and
        OperationRunning.
        """
        with self._step("repair", run_id):
            return self._repair_planned(run_id, approved, progress)

    def _repair_planned(self, run_id: str, approved: bool, progress: Progress) -> Plan:
        plans = self.plans(run_id)
        plan = plans.need()
        if plan.order.dry_run or not plan.parts:
            return plan
        if plan.reasons and not approved:
            raise ReconcileError(f"the repair of {run_id!r} needs an approval: {'; '.join(plan.reasons)}")
        with operation_lock(self.client, self.dataset, WRITE_LOCK, run_id) as lock, self._source() as source:
            self._check_epoch(plan)
            self._repair(plans, plan, source, lock, progress)
        self._tell(plans, plan)
        return plan

    def _tell(self, plans: PlanStore, plan: Plan) -> None:
        """Who follows the change stream learns of it; of an alias that readers did not see, nobody has to."""
        if plan.number(*WRONG):
            # A restore that reconciles leaves its own note, under the id of the run.
            instruments = plans.instruments(plan, NAMED_KEYS_MAX)
            note_restored(self.client, self.dataset, f"repair {plan.run_id}", "", REPAIR, instruments)

    def _repair(self, plans: PlanStore, plan: Plan, source: Source, lock: HeldLock, progress: Progress) -> None:
        pause = Throttle(plan.order.effort_percent)
        look = SecondLook(self.store, Wants(self.contract, source, self._clock), pause)
        repair = Repair(self.contract, self.store, look, self._clock, lock.check)
        target = Target(self.client)

        def once() -> None:
            server = target.server()
            done = {result.part for result in plans.results() if result.server == server}
            for number in range(plan.parts):
                if number not in done:
                    result = repair.part(number, plans.part(plan, number), plan.samples)
                    plans.save_result(msgspec.structs.replace(result, server=server))
                progress("repair", number + 1, plan.parts)

        target.on_one_server(once)

    def _check_epoch(self, plan: Plan) -> None:
        epoch = read_epoch(self.client, self.dataset)
        if epoch != plan.epoch:
            raise ReconcileError(
                f"the cache was rolled back after this comparison (epoch {plan.epoch.number} → {epoch.number}, "
                f"pinned: {epoch.pinned}); compare anew"
            )

    def report(self, run_id: str) -> Report:
        """Publish the report of a run that is over. What its plan asked for and nobody approved counts as refused."""
        with self._step("report", run_id):
            plans = self.plans(run_id)
            plan = plans.need()
            found = report_of(plan, plans, _decision(plan, plans), self._clock.now_us())
            publish(self.objects, self.client, found)
            return found

    def retain(self) -> list[str]:
        """Remove the plans of runs that are long over; returns their folders. Raises SettingsError."""
        days = self._env.integer("ICACHE_RECONCILE_KEEP_DAYS", default=30, low=1, high=36500)
        return remove_plans(self.objects, self.dataset, days, datetime.fromtimestamp(self._clock.now_us() / 1e6, UTC))

    def before(self) -> Before:
        """What the last report says."""
        last = newest(self.client, self.dataset, OPERATION)
        if last is None:
            return Before()
        looked_us = int(last.numbers.get("looked_us", 0))
        report = read(self.objects, self.dataset, OPERATION, iso(looked_us), last.run_id)
        still_open = report.details.get("open", {}) if report else {}
        return Before(looked_us, int(last.numbers.get("trusted_rows", 0)), still_open)

    def _step(self, name: str, run_id: str) -> AbstractContextManager[Step]:
        return under_way(self.client, self.dataset, OPERATION, name, run_id)

    @contextmanager
    def _source(self) -> Iterator[Source]:
        with closing(open_source(env=self._env)) as source:
            yield source

    def _spans(self) -> dict[int, Span]:
        return topic_spans(self._bootstrap, self.dataset)

    @property
    def _bootstrap(self) -> str:
        return self._env.text("ICACHE_KAFKA_BOOTSTRAP")


def _decision(plan: Plan, plans: PlanStore) -> str:
    if plan.order.dry_run:
        return DRY_RUN
    return REFUSED if plan.reasons and len(plans.done()) < plan.parts else REPAIRED
