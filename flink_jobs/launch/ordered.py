"""A change that a run of the DAG asks for: decided once, carried out, and reported once."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Final

import redis
import structlog

from flink_jobs.launch.gate import Counters
from flink_jobs.launch.orders import Order, Orders
from flink_jobs.launch.upgrade import Change, Outcome, Upgrade
from flink_jobs.launch.wanted import Wanted
from instrument_cache.errors import InstrumentCacheError, Unavailable
from instrument_cache.objects import ObjectStore
from instrument_cache.reports import Report, newest, publish

logger = structlog.get_logger()

OPERATION: Final = "stream_upgrade"
_SETTLED: Final = ("applied", "duplicate", "stale", "superseded", "rejected")
CarryOut = Callable[[Callable[[Wanted], Change]], Outcome]


class OrderedChange:
    """The change of one run of the DAG. A second try of the run finds what the first one decided, and its report."""

    def __init__(self, objects: ObjectStore, client: redis.Redis, dataset: str, run_id: str) -> None:
        self._objects, self._client, self._dataset, self._run_id = objects, client, dataset, run_id
        self._orders = Orders(objects, dataset)

    def carry_out(
        self, upgrade: Upgrade, counters: Counters, decide: Callable[[Wanted], Change], carry_out: CarryOut
    ) -> Outcome:
        """DONE once there is a report, whatever it says: then there is nothing to try again."""
        if (last := newest(self._client, self._dataset, OPERATION)) and last.run_id == self._run_id:
            logger.info("reported_already", run=self._run_id, sentence=last.sentence)
            return Outcome.DONE
        began_s, before = time.time(), dict(counters())
        orders: list[Order] = []

        def settled(wanted: Wanted) -> Change:
            orders.append(self._orders.settle(self._run_id, lambda: decide(wanted)))
            return orders[0].change

        try:
            outcome = carry_out(settled)
        except Unavailable:
            raise
        except InstrumentCacheError as error:
            outcome, upgrade.reason = Outcome.REFUSED, str(error)
        if outcome is Outcome.NOTHING_RUNS:
            return outcome
        numbers = {**_numbers(before, counters()), "without_job_s": upgrade.without_job_s}
        numbers["took_s"] = time.time() - began_s
        self._publish(orders[0] if orders else None, began_s, outcome, upgrade.reason, numbers)
        return Outcome.DONE

    def _publish(
        self, order: Order | None, began_s: float, outcome: Outcome, reason: str, numbers: dict[str, float]
    ) -> None:
        change = order.change if order else None
        # From the order, so that the report of a second try has the name of the first one's.
        began_s = order.began_us / 1e6 if order else began_s
        report = Report(
            dataset=self._dataset,
            operation=OPERATION,
            run_id=self._run_id,
            started_at=datetime.fromtimestamp(began_s, UTC).isoformat(),
            finished_at=datetime.now(UTC).isoformat(),
            ok=outcome is Outcome.DONE,
            sentence=sentence(outcome, change, reason),
            numbers=numbers,
            details={"outcome": outcome.name.lower(), "release": change.release if change else None, "reason": reason},
        )
        publish(self._objects, self._client, report)
        logger.info("reported", ok=report.ok, sentence=report.sentence)


def sentence(outcome: Outcome, change: Change | None, reason: str) -> str:
    """What became of it, for people."""
    release = f"release {change.release}" if change else "the change"
    if outcome is Outcome.DONE and change is not None:
        return f"{release} runs, at parallelism {change.parallelism or 'of the cluster'}"
    if outcome is Outcome.WENT_BACK:
        return f"{release} was given up and the one before runs again: {reason}"
    return f"{release} was refused before anything was touched: {reason}"


def _numbers(before: Mapping[str, int], after: Mapping[str, int]) -> dict[str, float]:
    """What the job settled and rejected meanwhile."""
    settled = sum(after.get(name, 0) - before.get(name, 0) for name in _SETTLED)
    rejected = after.get("rejected", 0) - before.get("rejected", 0)
    return {"settled": settled, "rejected": rejected, "rejected_share": rejected / settled if settled else 0.0}
