"""What the stream benchmark drains: change records in a fixed mix, and the state in which the store must end."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final, NamedTuple

import msgspec

from instrument_cache.contract import Contract
from instrument_cache.projection import projector
from instrument_cache.records import RecordMaker
from instrument_cache.source.interface import Put
from local_stack.synthetic import synthetic_rows

# Per 1000 records: nearly a first load, with enough of the rest that every outcome occurs.
MIX: Final = {"new": 850, "update": 60, "stale": 30, "duplicate": 30, "superseded": 20, "delete": 9, "reject": 1}
_PME: Final = re.compile(rb'"pme":"[^"]*"')
_PAST_MAX: Final = 20_000
# Between the versions of one record and the next there is room for older ones.
_VERSION_STEP_US: Final = 10


class _Past(NamedTuple):
    """A change that was sent: what later ones of the same instrument refer to."""

    number: int
    cusip: str
    version: int
    row: bytes


class ExpectedState:
    """The store's order, written a second time: of all valid changes of a key, the largest bytes stay.

    `held` is {full Redis key: bytes}, aliases and tombstones included. It shares the projection with the stream, and
    nothing else.
    """

    def __init__(self, contract: Contract) -> None:
        self._contract = contract
        self._project = projector(contract)
        self.held: dict[str, bytes] = {}

    def put(self, row: bytes, version: int) -> str:
        """Take a row and return its key."""
        payload = self._project(row, version)
        record = msgspec.json.decode(payload)
        key: str = record[self._contract.key.name]
        self._offer(self._contract.redis_key(key), b'{"v":%d,' % version + payload[1:])
        for alias in self._contract.aliases:
            if record[alias.field.name] is not None:
                hint = f'{{"v":{version},"{self._contract.key.name}":"{key}"}}'
                self._offer(f"{alias.prefix}:{record[alias.field.name]}", hint.encode())
        return key

    def delete(self, key: str, version: int, deleted_at_us: int) -> None:
        self._offer(self._contract.redis_key(key), b'{"v":%d,"~deleted_at":%d}' % (version, deleted_at_us))

    def _offer(self, key: str, stored: bytes) -> None:
        if stored > self.held.get(key, b""):
            self.held[key] = stored


class Workload:
    """Records in the proportions of `mix`, the same for one seed; `pme_percent` of the instruments have an alias.

    `start_us` is the first version. It must be recent: deletions that are older than the contract remembers them leave
    no tombstone.
    """

    def __init__(
        self,
        contract: Contract,
        start_us: int,
        seed: int = 1,
        pme_percent: int = 100,
        mix: Mapping[str, int] = MIX,
    ) -> None:
        self._mix = mix
        self.expected = ExpectedState(contract)
        self.rejected = 0
        self.bytes_total = 0
        self._maker = RecordMaker(contract, "benchmark")
        self._start_us = start_us
        self._seed = seed
        self._pme_percent = pme_percent
        self._chance = random.Random(seed)
        self._past: list[_Past] = []
        self._past_seen = 0
        self._make: dict[str, Callable[[int], tuple[str, bytes]]] = {
            "new": self._new,
            "update": self._update,
            "stale": lambda at: self._older(self._any_past(), at),
            "duplicate": lambda at: self._again(self._any_past(), at),
            "superseded": lambda at: self._older(self._latest, at),
            "delete": lambda at: self._delete(self._any_past(), at),
            "reject": lambda at: self._reject(self._any_past(), at),
        }

    def records(self, count: int) -> Iterator[tuple[bytes, bytes]]:
        """`count` pairs (Kafka key, change record). To be used up once."""
        self._fresh = enumerate(synthetic_rows(count, self._seed))
        for at, kind in enumerate(self._chance.choices(list(self._mix), list(self._mix.values()), k=count)):
            key, value = self._make[kind if self._past else "new"](at)
            self.bytes_total += len(value)
            yield key.encode(), value

    def _new(self, at: int) -> tuple[str, bytes]:
        number, row = next(self._fresh)
        return self._put(number, self._version(at), self._shaped(number, row), at)

    def _update(self, at: int) -> tuple[str, bytes]:
        past = self._any_past()
        return self._put(past.number, self._version(at), self._variant(past, at), at)

    def _older(self, past: _Past, at: int) -> tuple[str, bytes]:
        row, version = self._variant(past, at), past.version - 1
        self.expected.put(row, version)
        return past.cusip, self._record(past.cusip, version, row, at)

    def _again(self, past: _Past, at: int) -> tuple[str, bytes]:
        return past.cusip, self._record(past.cusip, past.version, past.row, at)

    def _delete(self, past: _Past, at: int) -> tuple[str, bytes]:
        now_us = self._version(at)
        self.expected.delete(past.cusip, past.version, now_us)
        return past.cusip, self._maker.delete(past.cusip, past.version, at, now_us, now_us)

    def _reject(self, past: _Past, at: int) -> tuple[str, bytes]:
        """A record that is cut off, or a CUSIP whose check digit is wrong."""
        self.rejected += 1
        record = self._record(past.cusip, self._version(at), past.row, at)
        if self.rejected % 2:
            return past.cusip, record[:-20]
        wrong = past.cusip[:-1] + str((int(past.cusip[-1]) + 1) % 10)
        return past.cusip, record.replace(past.cusip.encode(), wrong.encode())

    def _put(self, number: int, version: int, row: bytes, at: int) -> tuple[str, bytes]:
        cusip = self.expected.put(row, version)
        self._remember(_Past(number, cusip, version, row))
        return cusip, self._record(cusip, version, row, at)

    def _record(self, cusip: str, version: int, row: bytes, at: int) -> bytes:
        return self._maker.put(Put(cusip, row, version, at), received_at_us=version)

    def _variant(self, past: _Past, at: int) -> bytes:
        """Another row of the same instrument."""
        row = next(synthetic_rows(1, seed=self._seed + 1 + at, start=past.number))
        return self._shaped(past.number, row)

    def _shaped(self, number: int, row: bytes) -> bytes:
        """The row as it is, or without its alias."""
        return row if number % 100 < self._pme_percent else _PME.sub(b'"pme":null', row)

    def _version(self, at: int) -> int:
        return self._start_us + at * _VERSION_STEP_US

    def _any_past(self) -> _Past:
        return self._chance.choice(self._past)

    def _remember(self, past: _Past) -> None:
        """Keep an even sample of all that was (reservoir sampling): a near past alone would fall into one batch."""
        self._latest = past
        self._past_seen += 1
        if len(self._past) < _PAST_MAX:
            self._past.append(past)
        elif (slot := self._chance.randrange(self._past_seen)) < _PAST_MAX:
            self._past[slot] = past


class Check(NamedTuple):
    """How many keys the store holds right, with other bytes, not at all, or though nothing put them there."""

    right: int
    different: int
    missing: int
    extra: int

    @property
    def is_exact(self) -> bool:
        return not (self.different or self.missing or self.extra)


def compare(expected: Mapping[str, bytes], held: Iterable[tuple[str, bytes]]) -> Check:
    """Compare every key. A key may come twice, as a scan of Redis may tell it twice."""
    right: set[str] = set()
    different: set[str] = set()
    extra: set[str] = set()
    for key, value in held:
        wanted = expected.get(key)
        (extra if wanted is None else right if wanted == value else different).add(key)
    missing = len(expected) - len(right) - len(different)
    return Check(len(right), len(different), missing, len(extra))
