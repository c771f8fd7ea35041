"""The product's worker, and eight bugs that could be in it: each is the product but for the one thing its name says."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import redis
from redis.exceptions import RedisError

from instrument_cache.batch import BatchApplier
from instrument_cache.change import is_tombstone, version_of
from instrument_cache.clock import SystemClock
from instrument_cache.contract import Contract
from instrument_cache.errors import StoreUnavailable
from instrument_cache.store.interface import Entry, Position
from instrument_cache.store.redis import RedisExchange, RedisStore
from tests.faults.expected import LogRecord
from tests.faults.model import Batch, Worker

Values = Mapping[str, bytes]
Expiries = Mapping[str, int]
_HELD_BACK: Final = 60
# Time for one more try: a batch that failed is tried again by the same worker, or by a new one after a crash.
_RETRY_S: Final = 0.06


class UnreliableStore(RedisStore):
    """The product's store behind a link that breaks at seeded moments: before, within or after a batch.

    `before` and `after` are where bugs are planted.
    """

    def __init__(self, client: redis.Redis, contract: Contract, chance: random.Random) -> None:
        super().__init__(client, contract.dataset)
        self.client: Any = client
        self.contract = contract
        self.chance = chance

    def exchange(self) -> Any:
        return UnreliableExchange(self, super().exchange())

    def before(self, values: Values, expires_at_ms: Expiries) -> tuple[Values, Expiries]:
        """What is to be offered instead."""
        return values, expires_at_ms

    def after(self, values: Values, expires_at_ms: Expiries) -> None:
        """The batch was written."""

    def entries(self, entries: Sequence[Entry]) -> Sequence[Entry]:
        """What is to be accounted instead."""
        return entries


class UnreliableExchange:
    """Keeps what is offered until the end, when it is known how far the batch comes."""

    def __init__(self, store: UnreliableStore, real: RedisExchange) -> None:
        self._store, self._real = store, real
        self._offers: list[tuple[Values, Expiries, bytes]] = []

    def offer(self, values: Values, expires_at_ms: Expiries, slots: bytes) -> None:
        self._offers.append((values, expires_at_ms, slots))

    def finish(self, entries: Sequence[Entry], lags: Mapping[str, int]) -> None:
        fate = self._store.chance.random()
        if fate < 0.03:
            raise StoreUnavailable("planned: before the batch")
        if fate < 0.06:
            self._offer(half=True)
            with suppress(RedisError):
                self._real.answers()
            raise StoreUnavailable("planned: within the batch")
        self._offer()
        self._real.finish(self._store.entries(entries), lags)
        for values, expires_at_ms, _ in self._offers:
            self._store.after(values, expires_at_ms)
        if fate < 0.09:
            raise StoreUnavailable("planned: the answer was lost")
        if fate < 0.11:
            self._store.client.script_flush()

    def drop(self) -> None:
        self._real.drop()

    def _offer(self, half: bool = False) -> None:
        for values, expires_at_ms, slots in self._offers:
            kept = dict(list(values.items())[: (len(values) + 1) // 2]) if half else values
            self._real.offer(*self._store.before(kept, expires_at_ms), slots)


class ProductWorker:
    """What the streaming job runs."""

    def __init__(self, store: UnreliableStore) -> None:
        self._applier = BatchApplier(store.contract, store, retry_s=_RETRY_S)

    def apply(self, batch: Batch) -> list[LogRecord]:
        rejected = self._applier.apply(
            [record.value for record in batch],
            [record.partition for record in batch],
            [record.offset for record in batch],
        )
        return [batch[at] for at in rejected]

    def close(self) -> None:
        """It holds nothing."""


class NoGuard(UnreliableStore):
    """Writes with a plain SET: the last to arrive wins."""

    def before(self, values: Values, expires_at_ms: Expiries) -> tuple[Values, Expiries]:
        for key, value in values.items():
            self.client.set(key, value, pxat=expires_at_ms.get(key))
        return {}, {}


class ForgetTombstones(UnreliableStore):
    """Deletes the key and remembers nothing."""

    def after(self, values: Values, expires_at_ms: Expiries) -> None:
        for key, value in values.items():
            if is_tombstone(value) and self.client.get(key) == value:
                self.client.delete(key)


class WrongTieOrder(UnreliableStore):
    """Of two values of the same version it keeps the one that came later."""

    def after(self, values: Values, expires_at_ms: Expiries) -> None:
        for key, value in values.items():
            held = self.client.get(key)
            is_tie = held and version_of(held) == version_of(value) and is_tombstone(held) == is_tombstone(value)
            if is_tie and held > value:
                self.client.set(key, value, pxat=expires_at_ms.get(key))


class TtlFromNow(UnreliableStore):
    """Counts the time to live from the moment of writing."""

    def before(self, values: Values, expires_at_ms: Expiries) -> tuple[Values, Expiries]:
        now_ms = SystemClock().now_us() // 1000
        ttl_s = {True: self.contract.tombstone_ttl_s, False: self.contract.ttl_s or 0}
        late = {key: now_ms + ttl_s[is_tombstone(values.get(key, b""))] * 1000 for key in expires_at_ms}
        return values, late


class DoubleCounting(UnreliableStore):
    """A worker that starts anew takes every offset for a new one."""

    def positions(self, partitions: Sequence[int]) -> dict[int, Position]:
        return dict.fromkeys(partitions, Position())

    def entries(self, entries: Sequence[Entry]) -> Sequence[Entry]:
        held = super().positions([entry.partition for entry in entries])
        return [msgspec.structs.replace(entry, before=held[entry.partition]) for entry in entries]


class DropDeletes(ProductWorker):
    """Takes a delete for something that needs nothing done."""

    def apply(self, batch: Batch) -> list[LogRecord]:
        def kept(value: bytes | None) -> bytes | None:
            return None if value and value.startswith(b'{"op": "delete"') else value

        return super().apply([LogRecord(*record.position, kept(record.value)) for record in batch])


class AcknowledgeBeforeWrite(ProductWorker):
    """Says yes at once and writes behind it: a crash between the two loses what a checkpoint already covers."""

    def __init__(self, store: UnreliableStore) -> None:
        super().__init__(store)
        self._unwritten: Batch = ()

    def apply(self, batch: Batch) -> list[LogRecord]:
        unwritten, self._unwritten = self._unwritten, batch
        return super().apply(unwritten) if unwritten else []

    def close(self) -> None:
        super().apply(self._unwritten)


class LoseLastBatch(ProductWorker):
    """Collects records until there are enough for a large batch; what is left at the end is never written."""

    def __init__(self, store: UnreliableStore) -> None:
        super().__init__(store)
        self._held: list[LogRecord] = []

    def apply(self, batch: Batch) -> list[LogRecord]:
        self._held += batch
        if len(self._held) < _HELD_BACK:
            return []
        ready, self._held = self._held, []
        return super().apply(ready)


def product(store: UnreliableStore) -> Worker:
    return ProductWorker(store)


@dataclass(frozen=True)
class Bug:
    """`caught_by`: findings of which every one must come up in every history."""

    caught_by: frozenset[str]
    store: type[UnreliableStore] = UnreliableStore
    worker: Callable[[UnreliableStore], Worker] = product


BUGS: Final = {
    "no guard": Bug(frozenset({"stale", "regression"}), store=NoGuard),
    "acknowledge before write": Bug(frozenset({"uncounted", "account"}), worker=AcknowledgeBeforeWrite),
    "drop deletes": Bug(frozenset({"extra"}), worker=DropDeletes),
    "forget tombstones": Bug(frozenset({"tombstone", "resurrection"}), store=ForgetTombstones),
    "lose the last batch": Bug(frozenset({"uncounted"}), worker=LoseLastBatch),
    "double counting": Bug(frozenset({"double_counted"}), store=DoubleCounting),
    "wrong tie order": Bug(frozenset({"tie"}), store=WrongTieOrder),
    "TTL from now": Bug(frozenset({"ttl"}), store=TtlFromNow),
}
