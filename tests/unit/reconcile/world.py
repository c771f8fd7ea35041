"""A source, a stream that lags, and a cache, in memory and in one thread: every moment of it follows from a seed."""

from __future__ import annotations

import dataclasses
import random
from collections import deque
from collections.abc import Callable, Iterator

import msgspec

from instrument_cache.batch import BatchApplier
from instrument_cache.change import ChangeDecoder
from instrument_cache.clock import FakeClock
from instrument_cache.contract import Contract
from instrument_cache.epoch import Epoch
from instrument_cache.objects_memory import MemoryObjects
from instrument_cache.reconcile.compare import Before, Comparison
from instrument_cache.reconcile.expected import Expected, ExpectedMaker
from instrument_cache.reconcile.model import Difference, Progress
from instrument_cache.reconcile.plan import Order, PartResult, Plan, PlanStore
from instrument_cache.reconcile.repair import Repair
from instrument_cache.reconcile.second_look import SecondLook
from instrument_cache.reconcile.wants import Wants
from instrument_cache.records import RecordMaker
from instrument_cache.source.interface import Delete, Put, SnapshotBegin, SnapshotEnd
from instrument_cache.source.memory import MemorySource
from instrument_cache.store.memory import MemoryStore
from local_stack.synthetic import synthetic_cusip


class ForeignStore(MemoryStore):
    """A store in which some keys are of another Redis type."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__(clock)
        self.lists: set[str] = set()

    def plant(self, key: str, value: bytes) -> None:
        """Put bytes past the guard, as a fault does."""
        self._held[key] = (value, 0)

    def lose(self, key: str) -> None:
        self._held.pop(key, None)

    def make_list(self, key: str) -> None:
        self.lose(key)
        self.lists.add(key)

    def foreign(self, keys: object) -> set[str]:
        return self.lists & set(keys)  # type: ignore[call-overload, no-any-return]

    def keys(self, *prefixes: str) -> Iterator[list[bytes]]:
        yield from super().keys(*prefixes)
        yield [key.encode() for key in self.lists if key.startswith(tuple(f"{prefix}:" for prefix in prefixes))]

    def offer(self, values: object, expires_at_ms: object = None) -> str:
        self.lists -= set(values)  # type: ignore[call-overload]
        return super().offer(values, expires_at_ms)  # type: ignore[arg-type]

    def replace(self, key: str, seen: bytes | None, new: bytes | None, expires_at_ms: int = 0) -> bool:
        done = super().replace(key, seen, new, expires_at_ms)
        self.lists -= {key} if done else set()
        return done


class World:
    """`lag` changes of the source wait before the stream applies them."""

    def __init__(self, contract: Contract, seed: int = 1, lag: int = 20) -> None:
        self.contract, self.chance, self.lag = contract, random.Random(seed), lag
        self.clock = FakeClock()
        self.source = MemorySource(clock=self.clock, key_field=contract.key.name)
        self.store = ForeignStore(self.clock)
        self.objects = MemoryObjects()
        self._maker = RecordMaker(contract, "sow")
        self._applier = BatchApplier(contract, self.store, ChangeDecoder(contract, self.clock), clock=self.clock)
        self._offset = 0
        self._waiting: deque[bytes] = deque()
        self._events = self.source.subscribe()
        for event in self._events:
            if isinstance(event, SnapshotEnd):
                break

    # The source and its stream

    def publish(self, *rows: dict[str, object]) -> None:
        self._follow(self.source.publish(map(msgspec.json.encode, rows)))

    def delete(self, *keys: str) -> None:
        self._follow(self.source.delete(keys))

    def _follow(self, number: int) -> None:
        for _ in range(number):
            event = next(self._events)
            assert isinstance(event, Put | Delete)
            now = self.clock.now_us()
            if isinstance(event, Put):
                self._waiting.append(self._maker.put(event, now))
            else:
                record = self._maker.delete(event.key, event.version, event.position, event.timestamp_us, now)
                self._waiting.append(record)
        self.apply(leave=self.lag)

    def apply(self, leave: int = 0) -> None:
        """The stream applies what waits, but the newest `leave`."""
        count = max(0, len(self._waiting) - leave)
        values = [self._waiting.popleft() for _ in range(count)]
        if values:
            self._applier.apply(values, [0] * count, range(self._offset, self._offset + count))
            self._offset += count

    def row(self, number: int, **more: object) -> dict[str, object]:
        self.clock.advance(0.000_01)
        own = {"cusip": synthetic_cusip(number), "pme": f"PME{number:09}", "last_updated": self.clock.now_us()}
        return {**own, "name": f"name {self.chance.random()}", "currency": "USD", **more}

    def fill(self, count: int) -> None:
        for number in range(count):
            self.publish(self.row(number))
        self.apply()

    # What must be there

    def expected(self) -> dict[str, bytes]:
        """Full key → bytes of what the source holds, aliases included."""
        found: dict[str, bytes] = {}
        for made in self._made():
            for key, value in made.values.items():
                found[key] = max(value, found.get(key, b""))
        return found

    def _made(self) -> list[Expected]:
        puts = [event for event in self.source.snapshot() if isinstance(event, Put)]
        return [made for made in ExpectedMaker(self.contract, self.clock).of_many(puts) if made]

    # Reconciliation

    def plans(self, run_id: str = "run-1") -> PlanStore:
        return PlanStore(self.objects, self.contract.dataset, run_id)

    def compare(
        self,
        order: Order | None = None,
        before: Before | None = None,
        *,
        run_id: str = "run-1",
        traffic: Callable[[], None] = lambda: None,
        epoch: Epoch | None = None,
        clock: FakeClock | None = None,
    ) -> Plan:
        """Compare while `traffic` goes on between all steps; `clock` is that of the machine that compares."""

        def progress(*_: object) -> None:
            traffic()

        comparison = Comparison(self.contract, self.source, self.store, _Settling(self, traffic), clock or self.clock)
        order = order or Order(shards=4)
        return comparison.run(self.plans(run_id), run_id, order, before or Before(), epoch or Epoch(), progress)

    def differences(self, plan: Plan) -> list[Difference]:
        plans = self.plans(plan.run_id)
        return [found for part in range(plan.parts) for found in plans.part(plan, part)]

    def found(self, plan: Plan) -> dict[str, str]:
        """Key → kind."""
        return {found.key: str(found.kind) for found in self.differences(plan)}

    def repair(self, plan: Plan, check: Callable[[], None] = lambda: None) -> list[PartResult]:
        look = SecondLook(self.store, Wants(self.contract, self.source, self.clock), lambda: None)
        repair = Repair(self.contract, self.store, look, self.clock, check)
        plans = self.plans(plan.run_id)
        for part in range(plan.parts):
            plans.save_result(repair.part(part, plans.part(plan, part), plan.samples))
        return list(plans.results())


class _Settling:
    """The stream applies all that waits at this moment, while more comes."""

    def __init__(self, world: World, traffic: Callable[[], None]) -> None:
        self._world, self._traffic = world, traffic

    def wait(self, position: int, progress: Progress) -> str:
        self._world.apply()
        self._traffic()
        return ""


def with_ttl(contract: Contract, ttl_s: int) -> Contract:
    return dataclasses.replace(contract, ttl_s=ttl_s)


def snapshot_without_end(source: MemorySource) -> Iterator[object]:
    """What a source sends that is cut short."""
    events = source.snapshot()
    begin = next(events)
    assert isinstance(begin, SnapshotBegin)
    yield begin
    for event in events:
        if isinstance(event, Put):
            yield event
            return
