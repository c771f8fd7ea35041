"""What an operation came to: one JSON in S3, written once, and a few numbers in Redis for the exporter."""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec
import redis
import structlog
from redis.exceptions import RedisError

from instrument_cache.audit.written import chain_written
from instrument_cache.errors import InstrumentCacheError, StoreUnavailable
from instrument_cache.objects import ObjectStore
from instrument_cache.settings import Environment, s3_settings

logger = structlog.get_logger()

OPERATIONS: Final = (
    *("reconcile", "backup", "restore", "stream_upgrade", "failover_drill", "dr_drill"),
    *("slo_report", "capacity_report", "readiness_score", "data_quality"),
    *("dead_letter_replay", "retention", "audit_verify", "secret_rotation"),
)
_NOT_IN_NAMES: Final = re.compile(r"[^A-Za-z0-9._-]+")


class Report(msgspec.Struct, frozen=True):
    """One run of an operation. Times are ISO 8601 in UTC; `sentence` is one line for people."""

    dataset: str
    operation: str
    run_id: str
    started_at: str
    finished_at: str
    ok: bool
    sentence: str
    numbers: dict[str, float] = msgspec.field(default_factory=dict)
    details: dict[str, Any] = msgspec.field(default_factory=dict)


class Summary(msgspec.Struct, frozen=True):
    """What Redis keeps of the newest report of an operation."""

    run_id: str
    finished_at: str
    ok: bool
    sentence: str
    numbers: dict[str, float]


def publish(objects: ObjectStore, client: redis.Redis, report: Report) -> str:
    """Write the report to S3 and its numbers to Redis, chain it on the audit trail, and return its name in S3.

    A run has one report: published again under the same run id, the first one stays. Raises ObjectStoreUnavailable or
    StoreUnavailable; then publish it again. If the trail is away, the report waits for `icache audit settle`.
    """
    key, body = report_key(report), msgspec.json.format(msgspec.json.encode(report), indent=1)
    if not objects.put_once(key, body):
        body = objects.get(key)
        report = msgspec.json.decode(body, type=Report)
    chain_written(objects, report.dataset, key, body)
    summary = Summary(report.run_id, report.finished_at, report.ok, report.sentence, report.numbers)
    try:
        client.set(_summary_key(report.dataset, report.operation), msgspec.json.encode(summary))
    except RedisError as error:
        raise StoreUnavailable(f"Redis did not take the numbers of {report.run_id}: {error}") from error
    return key


def chain_run(env: Environment, dataset: str, operation: str, run_id: str) -> None:
    """Chain the report of a run whose process could not. If S3 is away, it waits for `icache audit settle`."""
    try:
        objects = ObjectStore(s3_settings(env))
        for key in objects.keys(f"reports/{dataset}/{operation}/"):
            if key.endswith(f"/{name_of_run(run_id)}.json"):
                chain_written(objects, dataset, key, objects.get(key))
    except InstrumentCacheError as error:
        logger.error("audit_waits", run=run_id, error=str(error))


def newest(client: redis.Redis, dataset: str, operation: str) -> Summary | None:
    """The numbers of the report that was published last; None if there is none. Raises StoreUnavailable."""
    return newest_of_all(client, dataset).get(operation)


def newest_of_all(client: redis.Redis, dataset: str) -> dict[str, Summary]:
    """Operation → the numbers of its newest report, of those that have one. Raises StoreUnavailable."""
    try:
        found: Any = client.mget([_summary_key(dataset, operation) for operation in OPERATIONS])
    except RedisError as error:
        raise StoreUnavailable(f"Redis did not read the newest reports of {dataset}: {error}") from error
    summaries = {operation: _summary(held) for operation, held in zip(OPERATIONS, found, strict=True)}
    return {operation: summary for operation, summary in summaries.items() if summary}


def _summary(held: bytes | None) -> Summary | None:
    try:
        return msgspec.json.decode(held, type=Summary) if held else None
    except msgspec.DecodeError:
        return None  # of another version of this program; the next report replaces it


def report_key(report: Report) -> str:
    """`reports/{dataset}/{operation}/{date of the start}/{run id}.json`."""
    return _report_key(report.dataset, report.operation, report.started_at, report.run_id)


def read(objects: ObjectStore, dataset: str, operation: str, started_at: str, run_id: str) -> Report | None:
    """A report by the start (ISO 8601, UTC) and the id of its run; None if there is none.

    Raises ObjectStoreUnavailable.
    """
    key = _report_key(dataset, operation, started_at, run_id)
    if key not in objects.keys(key):
        return None
    return msgspec.json.decode(objects.get(key), type=Report)


def _report_key(dataset: str, operation: str, started_at: str, run_id: str) -> str:
    return f"reports/{dataset}/{operation}/{started_at[:10]}/{name_of_run(run_id)}.json"


def name_of_run(run_id: str) -> str:
    """A run id as part of a name in S3: Airflow's have colons and plus signs."""
    return _NOT_IN_NAMES.sub("-", run_id)


def _summary_key(dataset: str, operation: str) -> str:
    return f"report:{dataset}:{operation}"
