"""Chains what an operation has just written. An operation never fails because the audit trail is away."""

from __future__ import annotations

import importlib.util

import structlog

from instrument_cache.audit.fact import fact_of
from instrument_cache.errors import InstrumentCacheError
from instrument_cache.objects import ObjectStore

logger = structlog.get_logger()


def chain_written(objects: ObjectStore, dataset: str, report: str, body: bytes) -> bool:
    """Chain a report that lies in `objects`; again is harmless. False if it waits for `icache audit settle`.

    The streaming job's runtime has no signatures: what it reports waits for the task that reads it.
    """
    env = objects.env
    if env is None or not importlib.util.find_spec("cryptography"):
        return False
    from instrument_cache.audit.places import trail_of

    try:
        trail_of(env, dataset).record(fact_of(report, body))
    except InstrumentCacheError as error:
        logger.error("audit_waits", report=report, error=str(error))
        return False
    return True
