"""The checks. Their weights say how much worse off who relies on the system is without them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from instrument_cache.doctor.model import Finding
from instrument_cache.doctor.text import duration
from instrument_cache.password_file import PASSWORD_FILE
from instrument_cache.readiness.model import Check
from instrument_cache.reports import Summary
from instrument_cache.settings import Environment

_DAY_S: Final = 86_400
# Part of the doctor → weight. Others that are red count with the last one.
_PARTS: Final = {
    "redis": 6, "kafka": 5, "flink-jobmanager": 3, "flink-taskmanager": 3, "flink-job": 5, "feed": 4, "source": 3,
    "stream": 6, "account": 6, "rejects": 4, "lookup": 6, "airflow": 4, "s3:first": 4, "s3:second": 3, "disk": 3,
    "clock": 2, "equality": 8, "backup": 8,
}  # fmt: skip
_OTHER_WEIGHT: Final = 2
# Operation → weight, and how old its newest good report may be, in days.
_PROOFS: Final = {
    "failover_drill": (5, 8),
    "dr_drill": (6, 8),
    "data_quality": (5, 1),
    "audit_verify": (4, 2),
    "slo_report": (3, 2),
    "secret_rotation": (2, 40),
}
_WHAT: Final = {
    "failover_drill": "a lost primary was drilled",
    "dr_drill": "a lost region was drilled",
    "data_quality": "the data was checked against the contract",
    "audit_verify": "the audit trail is whole",
    "slo_report": "no error budget is spent or burns",
    "secret_rotation": "the secrets were rotated",
    "capacity_report": "no limit is reached soon",
}


def of_doctor(findings: Iterable[Finding]) -> Iterator[Check]:
    """One for each part: it is well, or there is at most a warning. What was never proved is not well."""
    by_part: dict[str, list[Finding]] = {}
    for finding in findings:
        by_part.setdefault(finding.part, []).append(finding)
    for part, found in by_part.items():
        worst = min(found, key=lambda each: ("red", "warn", "ok").index(each.severity))
        passed = worst.severity == "ok" or (worst.severity == "warn" and part not in ("equality", "backup"))
        yield Check(part, _PARTS.get(part, _OTHER_WEIGHT), passed, worst.sentence, "" if passed else worst.mend)


def of_reports(reports: Mapping[str, Summary], now_s: float) -> Iterator[Check]:
    """Each proof that has to be repeated: it is good, and young."""
    for operation, (weight, days_max) in _PROOFS.items():
        yield _proof(operation, reports.get(operation), weight, days_max, now_s)
    capacity = reports.get("capacity_report")
    sentence = capacity.sentence if capacity else "there is no report of capacity_report yet"
    passed = None if capacity is None else capacity.ok
    fix = "give Redis more memory, or hold less" if passed is False else ""
    yield Check("capacity_report", 3, passed, sentence, fix)


def _proof(operation: str, report: Summary | None, weight: int, days_max: int, now_s: float) -> Check:
    fix = f"start the DAG {operation}, and mend what it says"
    if report is None:
        return Check(operation, weight, False, f"there is no report of {operation}: whether {_WHAT[operation]}", fix)
    age_s = now_s - datetime.fromisoformat(report.finished_at).timestamp()
    passed = report.ok and age_s <= days_max * _DAY_S
    return Check(operation, weight, passed, f"{report.sentence} ({duration(age_s)} ago)", "" if passed else fix)


def of_redis(config: Mapping[str, str], info: Mapping[str, Any], url: str) -> Iterator[Check]:
    """How Redis is set up: what it keeps, and who may come in. One machine alone has no replicas."""
    parts = urlsplit(url)
    is_local = (parts.hostname or "") in ("127.0.0.1", "localhost", "::1")
    keeps = config.get("appendonly") == "yes"
    yield _check("redis-keeps", 4, keeps, "Redis writes an append-only file", "set appendonly yes")
    policy = config.get("maxmemory-policy", "")
    yield _check(
        "redis-evicts-nothing", 4, policy == "noeviction", f"maxmemory-policy is {policy!r}", "set it to noeviction"
    )
    closed = bool(parts.password or PASSWORD_FILE in parse_qs(parts.query))
    yield _check("redis-password", 4, closed, "Redis asks for a password", "set requirepass, and ICACHE_REDIS_URL")
    limited = int(config.get("maxmemory", 0) or 0) > 0
    sentence = "Redis has a maxmemory, so that it refuses writes before the machine runs out"
    yield _check("redis-limited", 2, limited or (None if is_local else False), sentence, "set maxmemory")
    replicas = int(info.get("connected_slaves", 0))
    yield _check(
        "redis-replicas",
        4,
        replicas > 0 or (None if is_local else False),
        f"Redis has {replicas} replicas",
        "add a replica and three Sentinels",
    )


def of_settings(env: Environment) -> Iterator[Check]:
    """What the deployment was told to do."""
    given = env.variables
    second = bool(given.get("ICACHE_S3_SECOND_ENDPOINT"))
    yield _check("second-region", 4, second, "backups go to a second region", "set ICACHE_S3_SECOND_ENDPOINT")
    signed = bool(given.get("ICACHE_BACKUP_SIGNING_KEY") or given.get("ICACHE_BACKUP_SIGNING_KEY_FILE"))
    yield _check("signed-backups", 3, signed, "backups are signed", "set ICACHE_BACKUP_SIGNING_KEY")
    watched = bool(given.get("ICACHE_LOOKUP_URL"))
    yield _check("lookup-watched", 2, watched, "the lookup service is watched", "set ICACHE_LOOKUP_URL")


def _check(name: str, weight: int, passed: bool | None, sentence: str, fix: str) -> Check:
    told = sentence if passed else f"not so here: {sentence}"
    if passed is None:
        return Check(name, weight, None, f"{sentence}: one machine alone is not asked for it")
    return Check(name, weight, passed, told, "" if passed else fix)
