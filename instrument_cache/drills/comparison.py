"""The second region against the source, by reconciliation's own comparison; nothing is repaired."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from instrument_cache.clock import Clock
from instrument_cache.contract import Contract
from instrument_cache.drills.site import Compared
from instrument_cache.epoch import Epoch
from instrument_cache.objects_memory import MemoryObjects
from instrument_cache.reconcile.compare import Before, Comparison
from instrument_cache.reconcile.model import DELETING, WRONG, Kind, Progress
from instrument_cache.reconcile.plan import Order, Plan, PlanStore
from instrument_cache.reconcile.settled import FEED_S
from instrument_cache.source.interface import Source
from instrument_cache.store.interface import VersionedStore

_RUN: Final = "drill"
_SAMPLES: Final = 10
_LACKING: Final = tuple(kind for kind in WRONG if kind not in DELETING)


def compared(
    source: Source,
    store: VersionedStore,
    contract: Contract,
    catch_up: Callable[[], object],
    clock: Clock | None = None,
) -> Compared:
    """What the region lacks, and has too much. `catch_up` applies what the log brought since it was called last.

    Raises SourceUnavailable, StoreUnavailable, and what `catch_up` raises.
    """
    comparison = Comparison(contract, source, store, _CatchingUp(catch_up), clock)
    # The plan stays in memory: nobody repairs by it. Differences count from their row's change, however long ago.
    plans = PlanStore(MemoryObjects(), contract.dataset, _RUN)
    plan = comparison.run(plans, _RUN, Order(), Before(looked_us=1), Epoch())
    return _result(plan)


def _result(plan: Plan) -> Compared:
    behind, extra = plan.number(*_LACKING), plan.number(*DELETING)
    age_s = plan.finished_us / 1e6 - plan.oldest_since_us / 1e6 if behind and plan.oldest_since_us else 0.0
    return Compared(
        keys=plan.counts.rows - plan.counts.rejected_rows,
        behind=behind,
        extra=extra,
        behind_s=max(age_s, 0.0),
        samples=tuple(sample.key for sample in plan.samples if sample.kind is not Kind.DANGLING_ALIAS)[:_SAMPLES],
    )


class _CatchingUp:
    """Implements `Settling`: no stream feeds the region, so the log is read once more."""

    def __init__(self, catch_up: Callable[[], object]) -> None:
        self._catch_up = catch_up

    def wait(self, position: int, progress: Progress) -> str:
        """All that the source held is in the log after a moment, and then applied."""
        time.sleep(FEED_S)
        self._catch_up()
        return ""
