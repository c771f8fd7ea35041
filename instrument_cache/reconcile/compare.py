"""A whole comparison: first look, time for the stream, second look, and a plan of what is left."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from instrument_cache.clock import Clock, SystemClock
from instrument_cache.contract import Contract
from instrument_cache.epoch import Epoch
from instrument_cache.reconcile import brake
from instrument_cache.reconcile.expected import ExpectedMaker
from instrument_cache.reconcile.first_look import FirstLook
from instrument_cache.reconcile.model import Progress
from instrument_cache.reconcile.plan import Order, Plan, PlanStore, PlanWriter
from instrument_cache.reconcile.second_look import SecondLook
from instrument_cache.reconcile.settled import Settling
from instrument_cache.reconcile.wants import Wants
from instrument_cache.scratch.folder import scratch_folder
from instrument_cache.source.interface import SnapshotBegin, Source
from instrument_cache.store.interface import VersionedStore

# With less there is no use to begin. What a comparison needs grows with the keys that it looks at.
_FREE_BYTES_MIN: Final = 16_000_000
# A shorter rest is more waking up than rest: it waits for the next page.
_REST_S_MIN: Final = 0.002


@dataclass(frozen=True)
class Before:
    """What earlier runs know: when the last one looked (µs, 0: never), its rows, and what it left open, since when."""

    looked_us: int = 0
    trusted_rows: int = 0
    open: Mapping[str, int] | None = None


class Comparison:
    """Compares one dataset. `source` and `store` may change meanwhile."""

    def __init__(
        self, contract: Contract, source: Source, store: VersionedStore, settling: Settling, clock: Clock | None = None
    ) -> None:
        self._contract, self._source, self._store, self._settling = contract, source, store, settling
        self._clock = clock or SystemClock()

    def run(
        self,
        plans: PlanStore,
        run_id: str,
        order: Order,
        before: Before,
        epoch: Epoch,
        progress: Progress = lambda *_: None,
    ) -> Plan:
        """The plan, which is saved. Raises Unavailable: of a part, or of room on the disk."""
        started_us = self._clock.now_us()
        with scratch_folder(_FREE_BYTES_MIN) as folder:
            writer = PlanWriter(plans)
            first, unsettled = self._look_twice(writer, order, _since(before, started_us), folder, progress)
        reasons = brake.reasons(order, first.counts, writer.kinds, before.trusted_rows, epoch)
        return plans.save(
            Plan(
                dataset=self._contract.dataset,
                run_id=run_id,
                attempt=writer.attempt,
                order=order,
                started_us=started_us,
                finished_us=self._clock.now_us(),
                settled=not unsettled,
                counts=first.counts,
                kinds=writer.kinds,
                parts=writer.parts,
                samples=writer.samples,
                oldest_since_us=writer.oldest_since_us,
                trusted_rows=before.trusted_rows,
                epoch=epoch,
                reasons=reasons,
                unsettled=unsettled,
            )
        )

    def _look_twice(
        self,
        writer: PlanWriter,
        order: Order,
        since_us: Callable[[str, int], int],
        folder: Path,
        progress: Progress,
    ) -> tuple[FirstLook, str]:
        wants = Wants(self._contract, self._source, self._clock)
        maker = ExpectedMaker(self._contract, self._clock)
        pause = Throttle(order.effort_percent)
        first = FirstLook(self._contract, self._source, self._store, wants, maker, folder, order.shards, pause)
        first.look(progress)
        first.counts.looked_at_twice = first.candidates.total
        # With nothing to look at again there is nothing to wait for.
        unsettled = self._settling.wait(self._position(), progress) if first.candidates.total else ""
        # Its own: what the stream was waited for was no work.
        second = SecondLook(self._store, wants, Throttle(order.effort_percent))
        for shard in range(order.shards):
            for difference, sample in second.differences(first.candidates, shard, since_us):
                writer.add(difference, sample)
            progress("second look", shard + 1, order.shards)
        writer.flush()
        return first, unsettled

    def _position(self) -> int:
        """The source's newest message, which no row that was looked at is newer than."""
        begin = next(self._source.snapshot(), None)
        return begin.position if isinstance(begin, SnapshotBegin) else 0


class Throttle:
    """Called between two pages, it rests so long that work takes at most a share of the time."""

    def __init__(
        self,
        percent: int,
        sleep: Callable[[float], None] = time.sleep,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._rest = 100 / percent - 1
        self._sleep, self._monotonic = sleep, monotonic
        self._worked_from_s = monotonic()

    def __call__(self) -> None:
        owed_s = (self._monotonic() - self._worked_from_s) * self._rest
        if owed_s >= _REST_S_MIN:
            self._sleep(owed_s)
            self._worked_from_s = self._monotonic()


def _since(before: Before, started_us: int) -> Callable[[str, int], int]:
    """No difference is older than its row's last change, nor than the last run that did not find it."""
    known = before.open or {}
    floor_us = before.looked_us or started_us

    def since_us(key: str, changed_at_us: int) -> int:
        return known.get(key) or max(min(changed_at_us, started_us), floor_us)

    return since_us
