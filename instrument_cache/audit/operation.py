"""The verification as an operation with a report, which is chained itself. The DAG audit_verify calls this."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

import msgspec

from instrument_cache.audit.service import Settled
from instrument_cache.audit.verify import Verified
from instrument_cache.connections import redis_client
from instrument_cache.objects import ObjectStore
from instrument_cache.reports import Report, publish
from instrument_cache.settings import Environment, redis_url, s3_settings

OPERATION: Final = "audit_verify"
_NAMED_MAX: Final = 500


def publish_verified(
    env: Environment, dataset: str, run_id: str, started_at: str, settled: Settled, found: Verified
) -> Report:
    """Publish what a verification found; of one run there is one. Raises ObjectStoreUnavailable, StoreUnavailable."""
    report = Report(
        dataset=dataset,
        operation=OPERATION,
        run_id=run_id,
        started_at=started_at,
        finished_at=datetime.now(UTC).isoformat(timespec="seconds"),
        ok=found.ok,
        sentence=found.sentence,
        numbers={
            "entries": float(found.entries),
            "late": float(found.late),
            "findings": float(len(found.findings)),
            "settled": float(len(settled.chained)),
        },
        details={
            "head": found.head,
            "newest_at": found.newest_at,
            "regions": found.regions,
            "findings": msgspec.to_builtins(found.findings[:_NAMED_MAX]),
            "settled": msgspec.to_builtins(settled),
        },
    )
    publish(ObjectStore(s3_settings(env)), redis_client(redis_url(env), name="audit"), report)
    return report
