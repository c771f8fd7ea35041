"""The two drills as an operation: carry out, report, trend. The DAGs and `icache drill` call this."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
import redis

from instrument_cache.backup.manifest import Manifest
from instrument_cache.connections import redis_client
from instrument_cache.contract import load_contract
from instrument_cache.drills.dr import DrTargets, run_dr
from instrument_cache.drills.failover import FailoverPlan, run_failover
from instrument_cache.drills.process_site import ProcessSite
from instrument_cache.drills.trend import earlier_reports, trend
from instrument_cache.objects import ObjectStore
from instrument_cache.operation_lock import operation_lock
from instrument_cache.reports import Report, publish
from instrument_cache.settings import Environment, contract_path, redis_url, s3_settings
from instrument_cache.under_way import under_way

FAILOVER: Final = "failover_drill"
DR: Final = "dr_drill"
TREND: Final[Mapping[str, Sequence[str]]] = {
    FAILOVER: ("write_gap_s", "failed_cached_reads", "lost_writes"),
    DR: ("rto_s", "rpo_s", "backup_age_s", "entries"),
}
_LOCK: Final = "drill"
Tell = Callable[[str], None]


class Drilled(msgspec.Struct, frozen=True):
    """What a drill came to, before it is published: a `Report` without its trend."""

    operation: str
    run_id: str
    started_at: str
    finished_at: str
    misses: list[str]
    sentence: str
    numbers: dict[str, float]
    details: dict[str, Any]


class Drills:
    """The drills of one deployment. Connects on first use."""

    def __init__(self, env: Environment) -> None:
        """Raises SettingsError, ContractError."""
        self._env = env
        self._contract = load_contract(contract_path(env))
        self.dataset = self._contract.dataset

    def failover(self, run_id: str, plan: FailoverPlan, tell: Tell = lambda _: None) -> Drilled:
        """Raises DrillFailed, ScratchUnavailable, or OperationRunning if another drill runs."""
        started = datetime.now(UTC)
        with self._alone(FAILOVER, run_id):
            result = run_failover(plan, self._contract, tell)
        misses = result.misses(plan)
        good = f"writes came back after {result.write_gap_s:.1f} s, no cached read failed, nothing stayed lost"
        details = {"targets": {"write_gap_s_max": plan.write_gap_s_max}, "plan": msgspec.to_builtins(plan)}
        return _drilled(FAILOVER, run_id, started, misses, good, result.numbers(), details)

    def dr(self, run_id: str, targets: DrTargets, region: str, tell: Tell = lambda _: None) -> Drilled:
        """Raises DrillFailed, BackupRefused, Unavailable, or OperationRunning if another drill runs."""
        started = datetime.now(UTC)
        with self._alone(DR, run_id):
            result = run_dr(ProcessSite(self._env, region=region), tell)
        misses = result.misses(targets)
        good = f"a second region served after {result.rto_s:.0f} s, equal to the source"
        details = {
            "targets": msgspec.to_builtins(targets),
            "backup": result.restored.backup,
            "region": region,
            "samples": list(result.compared.samples),
        }
        return _drilled(DR, run_id, started, misses, good, result.numbers(), details)

    def backup_for_dr(self, region: str) -> Manifest:
        """The backup that a drill would restore now. Raises DrillFailed, BackupRefused, ObjectStoreUnavailable."""
        return ProcessSite(self._env, region=region).catalog().newest_good()

    def publish(self, drilled: Drilled) -> Report:
        """Write the report with its trend, and return it. Raises ObjectStoreUnavailable, StoreUnavailable."""
        with under_way(self._redis(), self.dataset, drilled.operation, "report", drilled.run_id):
            return self._publish(drilled)

    def _publish(self, drilled: Drilled) -> Report:
        objects = ObjectStore(s3_settings(self._env))
        earlier = earlier_reports(objects, self.dataset, drilled.operation)
        before = [report for report in earlier if report.run_id != drilled.run_id]
        report = Report(
            dataset=self.dataset,
            operation=drilled.operation,
            run_id=drilled.run_id,
            started_at=drilled.started_at,
            finished_at=drilled.finished_at,
            ok=not drilled.misses,
            sentence=drilled.sentence,
            numbers=drilled.numbers,
            details={**drilled.details, "misses": drilled.misses, "trend": trend(before, TREND[drilled.operation])},
        )
        publish(objects, self._redis(), report)
        return report

    def reports(self, operation: str, count: int) -> list[Report]:
        """Of the last runs, the oldest first. Raises ObjectStoreUnavailable."""
        return earlier_reports(ObjectStore(s3_settings(self._env)), self.dataset, operation, count)

    @contextmanager
    def _alone(self, operation: str, run_id: str) -> Iterator[None]:
        """Two drills at once would measure each other."""
        client = self._redis()
        with (
            under_way(client, self.dataset, operation, "drill", run_id),
            operation_lock(client, self.dataset, _LOCK, run_id),
        ):
            yield

    def _redis(self) -> redis.Redis:
        return redis_client(redis_url(self._env), name="drill")


def _drilled(
    operation: str,
    run_id: str,
    started: datetime,
    misses: list[str],
    good: str,
    numbers: dict[str, float],
    details: dict[str, Any],
) -> Drilled:
    sentence = "; ".join(misses) if misses else good
    finished = datetime.now(UTC)
    return Drilled(operation, run_id, started.isoformat(), finished.isoformat(), misses, sentence, numbers, details)
