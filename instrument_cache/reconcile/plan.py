"""The plan of a run in S3: what differs, so that the repair does exactly what was approved, and no more.

reconcile/{dataset}/{run}/{attempt}/part-00000.json   differences, written before the plan that counts them
reconcile/{dataset}/{run}/plan.json                   written once: the first attempt that ends is the plan
reconcile/{dataset}/{run}/result-00000.json           written once: what became of a part
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final
from uuid import uuid4

import msgspec

from instrument_cache.epoch import Epoch
from instrument_cache.errors import ReconcileError
from instrument_cache.objects import ObjectStore
from instrument_cache.reconcile.model import WRONG, Counts, Difference, Kind, Sample
from instrument_cache.reports import name_of_run

PART_DIFFERENCES_MAX: Final = 10_000
SAMPLES_PER_KIND: Final = 10
OPEN_MAX: Final = 100_000
# Records and aliases; of more, the parts are not read only to find that they are too many to be named.
_KEYS_PER_INSTRUMENT_MAX: Final = 10


class Order(msgspec.Struct, frozen=True):
    """What a run was asked to do. `effort_percent` is the share of time in which it works at all.

    `unpin`: the source is right again, so a roll back's epoch is unpinned first; not in a dry run.

    More than `budget` repairs, or a source that lost more than `lost_percent_max`, need an approval.
    """

    dry_run: bool = False
    budget: int = 1000
    lost_percent_max: int = 10
    shards: int = 64
    grace_s: int = 60
    effort_percent: int = 70
    unpin: bool = False

    def __post_init__(self) -> None:
        for name, value, low, high in (
            ("budget", self.budget, 0, 100_000_000),
            ("lost_percent_max", self.lost_percent_max, 0, 100),
            ("shards", self.shards, 1, 1024),
            ("grace_s", self.grace_s, 3, 3600),
            ("effort_percent", self.effort_percent, 1, 100),
        ):
            if not low <= value <= high:
                raise ReconcileError(f"{name} is {value}; it must be from {low} to {high}")


class Plan(msgspec.Struct):
    """What a comparison found, and what is asked before anything is repaired (`reasons`: nothing if empty).

    Times in microseconds since 1970. `kinds` has a number for each kind, `trusted_rows` the rows of the source in the
    last run that was not stopped, 0: not known. `unsettled` says why the stream had not caught up; "" if it had.
    """

    dataset: str
    run_id: str
    attempt: str
    order: Order
    started_us: int
    finished_us: int
    settled: bool
    counts: Counts
    kinds: dict[str, int]
    parts: int
    samples: list[Sample]
    oldest_since_us: int
    trusted_rows: int
    epoch: Epoch
    reasons: list[str]
    unsettled: str = ""

    def number(self, *kinds: Kind) -> int:
        """Differences of these kinds."""
        return sum(self.kinds.get(kind, 0) for kind in kinds)


class PartResult(msgspec.Struct):
    """What became of the differences of one part. `open` are those that still stand: key → since when.

    `server` is the Redis that took the repairs: another one that took over since may lack the last of them.
    """

    part: int
    repaired: dict[str, int]
    moved: int
    open: dict[str, int]
    after: dict[str, str | None]
    server: str = ""


def plans_prefix(dataset: str) -> str:
    """Below it each run has a folder."""
    return f"reconcile/{dataset}/"


class PlanStore:
    """The plan of one run. Methods raise ObjectStoreUnavailable."""

    def __init__(self, objects: ObjectStore, dataset: str, run_id: str) -> None:
        self._objects = objects
        self._folder = f"{plans_prefix(dataset)}{name_of_run(run_id)}/"

    def load(self) -> Plan | None:
        """The plan; None if no attempt has ended yet."""
        key = f"{self._folder}plan.json"
        return self._read(key, Plan) if key in self._objects.keys(key) else None

    def need(self) -> Plan:
        """The plan. Raises ReconcileError if there is none."""
        if (plan := self.load()) is None:
            raise ReconcileError(f"there is no plan {self._folder}plan.json; compare first")
        return plan

    def save(self, plan: Plan) -> Plan:
        """Write the plan, and return the one that counts: another attempt may have been first."""
        if not self._objects.put_once(f"{self._folder}plan.json", _pretty(plan)):
            return self.need()
        return plan

    def write_part(self, attempt: str, part: int, differences: list[Difference]) -> None:
        self._objects.put_once(self._part(attempt, part), msgspec.json.encode(differences))

    def part(self, plan: Plan, part: int) -> list[Difference]:
        found: list[Difference] = self._read(self._part(plan.attempt, part), list[Difference])
        return found

    def instruments(self, plan: Plan, most: int) -> list[str]:
        """The source's keys whose records or aliases the plan repairs, none of them if they are more than `most`."""
        if plan.number(*WRONG) > most * _KEYS_PER_INSTRUMENT_MAX:
            return []
        parts = (self.part(plan, number) for number in range(plan.parts))
        found = {owner for part in parts for each in part if each.kind in WRONG for owner in each.owners}
        return sorted(found) if len(found) <= most else []

    def save_result(self, result: PartResult) -> None:
        self._objects.put_once(self._result(result.part), _pretty(result))

    def results(self) -> Iterator[PartResult]:
        """What became of the parts that are done."""
        for key in list(self._objects.keys(f"{self._folder}result-")):
            yield self._read(key, PartResult)

    def done(self) -> set[int]:
        """The parts that are done."""
        names = self._objects.keys(f"{self._folder}result-")
        return {int(name.rpartition("-")[2].removesuffix(".json")) for name in names}

    def _part(self, attempt: str, part: int) -> str:
        return f"{self._folder}{attempt}/part-{part:05}.json"

    def _result(self, part: int) -> str:
        return f"{self._folder}result-{part:05}.json"

    def _read(self, key: str, kind: Any) -> Any:
        try:
            return msgspec.json.decode(self._objects.get(key), type=kind)
        except msgspec.DecodeError as error:
            raise ReconcileError(f"{key!r} is damaged: {error}; compare anew under another run id") from error


class PlanWriter:
    """Takes differences one by one and writes them in parts."""

    def __init__(self, store: PlanStore) -> None:
        self._store = store
        self._held: list[Difference] = []
        self._per_kind: dict[Kind, int] = dict.fromkeys(Kind, 0)
        self.attempt = uuid4().hex[:12]
        self.parts = 0
        self.samples: list[Sample] = []
        self.oldest_since_us = 0

    def add(self, difference: Difference, sample: Sample) -> None:
        self._per_kind[difference.kind] += 1
        if self._per_kind[difference.kind] <= SAMPLES_PER_KIND:
            self.samples.append(sample)
        if difference.kind is not Kind.DANGLING_ALIAS:
            self.oldest_since_us = min(self.oldest_since_us or difference.since_us, difference.since_us)
        self._held.append(difference)
        if len(self._held) == PART_DIFFERENCES_MAX:
            self.flush()

    def flush(self) -> None:
        if self._held:
            self._store.write_part(self.attempt, self.parts, self._held)
            self.parts += 1
            self._held = []

    @property
    def kinds(self) -> dict[str, int]:
        return {str(kind): number for kind, number in self._per_kind.items()}


def _pretty(document: Any) -> bytes:
    return msgspec.json.format(msgspec.json.encode(document), indent=1)
