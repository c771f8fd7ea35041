"""Which epoch a restore belongs to."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Final

import redis
import structlog

from instrument_cache.backup.manifest import Manifest
from instrument_cache.epoch import Epoch, open_epoch, read_epoch
from instrument_cache.restore.plan import Plan

logger = structlog.get_logger()
# Readers look at the epoch each second: none of them may see a version go back before it knows why.
SETTLE_S: Final = 3.0


def open_for(client: redis.Redis, plan: Plan, settle_s: float = SETTLE_S) -> Epoch:
    """The epoch of a roll back, opened once for each run. Raises EpochMoved if another came since the plan was made."""
    held = read_epoch(client, plan.dataset)
    request = plan.request
    if held.number and held.run_id == request.run_id:
        time.sleep(settle_s)
        return held
    new = Epoch(
        number=plan.epoch.number + 1,
        opened_at=datetime.now(UTC).isoformat(timespec="seconds"),
        by=request.by,
        reason=request.reason,
        backup=plan.backup,
        pinned=True,
        run_id=request.run_id,
    )
    open_epoch(client, plan.dataset, plan.epoch, new)
    logger.info("epoch_opened", dataset=plan.dataset, number=new.number, by=new.by, reason=new.reason)
    time.sleep(settle_s)
    return new


def carry_over(client: redis.Redis, plan: Plan, manifest: Manifest) -> None:
    """A Redis that was emptied has forgotten its epoch: what is restored stands in that of the backup, at least."""
    held = read_epoch(client, plan.dataset)
    if held.number >= manifest.epoch:
        return
    reason = "restored into a Redis that knew no epoch"
    new = Epoch(manifest.epoch, plan.planned_at, plan.request.by, reason, plan.backup, run_id=plan.request.run_id)
    open_epoch(client, plan.dataset, held, new)
