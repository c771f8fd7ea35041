"""What operations proved: that the cache equals its source, that a good backup is there, and whatever came last."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Final

from instrument_cache.clock import Clock
from instrument_cache.connections import redis_client
from instrument_cache.doctor.model import Finding
from instrument_cache.doctor.text import duration
from instrument_cache.reports import Summary, newest_of_all
from instrument_cache.settings import Environment, redis_url

# Part → operation, the setting that says how old its newest good report may be, DAG and command.
_ELSEWHERE: Final = ("reconcile", "backup")
_DAGS: Final = {"restore": "cache_restore", "reconcile": "cache_reconcile", "backup": "cache_backup"}
_RUNBOOKS: Final = frozenset(
    {
        *("cache_restore", "stream_upgrade", "failover_drill", "dr_drill", "data_quality", "audit_verify", "retention"),
        *("dead_letter_replay", "slo_report", "capacity_report", "readiness_score", "secret_rotation"),
    }
)


def look_at_proofs(env: Environment, clock: Clock) -> Iterator[Finding]:
    """Equality, backup, and the newest report of every other operation that is not a good one."""
    dataset = env.text("ICACHE_DATASET", "instruments")
    reports = newest_of_all(redis_client(redis_url(env), name="doctor", timeout_s=3.0), dataset)
    now_s = clock.now_us() / 1e6
    yield _equality(reports.get("reconcile"), now_s, _proof_s_max(env))
    yield _backup(reports.get("backup"), now_s, _backup_s_max(env))
    yield from _others(reports)


def _proof_s_max(env: Environment) -> int:
    return 60 * env.integer("ICACHE_DOCTOR_PROOF_MINUTES_MAX", default=150, low=1, high=100_000)


def _backup_s_max(env: Environment) -> int:
    return 60 * env.integer("ICACHE_DOCTOR_BACKUP_MINUTES_MAX", default=60, low=1, high=100_000)


def _equality(report: Summary | None, now_s: float, age_s_max: float) -> Finding:
    mend, runbook = "icache reconcile", "cache_reconcile"
    if report is None:
        why = "cache_reconcile has not run yet: it is due each hour"
        return Finding("equality", "warn", "it was never proved that the cache equals its source", why, mend, runbook)
    age_s = _age_s(report, now_s)
    told = f"{report.sentence} ({duration(age_s)} ago)"
    if report.numbers.get("open", 0) or not report.ok:
        why = "differences were found and not all were repaired"
        return Finding("equality", "red", told, why, mend, runbook)
    if age_s > age_s_max:
        sentence = f"the newest proof of equality is {duration(age_s)} old; {duration(age_s_max)} are allowed"
        why = "cache_reconcile is paused, waits for an approval or fails; or Airflow's scheduler is down"
        return Finding("equality", "red", sentence, why, mend, runbook)
    return Finding("equality", "ok", told)


def _backup(report: Summary | None, now_s: float, age_s_max: float) -> Finding:
    mend, runbook = "icache backup run; icache backup list", "cache_backup"
    if report is None:
        why = "cache_backup has not run yet: it is due each quarter of an hour"
        return Finding("backup", "warn", "there is no report of a backup yet", why, mend, runbook)
    age_s = _age_s(report, now_s)
    told = f"{report.sentence} ({duration(age_s)} ago)"
    if not report.ok:
        return Finding("backup", "red", told, "the newest backup is not good in every region", mend, runbook)
    if age_s > age_s_max:
        sentence = f"the newest good backup is {duration(age_s)} old; {duration(age_s_max)} are allowed"
        why = "cache_backup is paused or fails; or Airflow's scheduler is down"
        return Finding("backup", "red", sentence, why, mend, runbook)
    return Finding("backup", "ok", told)


def _others(reports: Mapping[str, Summary]) -> Iterator[Finding]:
    for operation, report in reports.items():
        if operation not in _ELSEWHERE and not report.ok:
            dag = _DAGS.get(operation, operation)
            yield Finding(
                operation.replace("_", "-"),
                "warn",
                f"the newest run of {operation} is not a good one: {report.sentence}",
                "see its report; it stays here until a good run follows",
                f"trigger {dag} again once the cause is mended",
                dag if dag in _RUNBOOKS else "",
            )


def _age_s(report: Summary, now_s: float) -> float:
    return max(now_s - datetime.fromisoformat(report.finished_at).timestamp(), 0.0)
