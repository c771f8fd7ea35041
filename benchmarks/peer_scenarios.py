"""Small inputs on which sinks differ, given to another sink and to the product alike, and what a reader gets after."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, Protocol

import msgspec

from benchmarks.peer_stack import RUNNING, Stuck
from instrument_cache.clock import SystemClock
from instrument_cache.contract import Contract
from instrument_cache.records import RecordMaker
from instrument_cache.source.interface import Put
from local_stack.synthetic import synthetic_rows

KEYS: Final = 500
OUT_OF_MEMORY_KEYS: Final = 4_000
# How long Redis refuses to write before it is given memory again.
_REFUSES_S: Final = 8.0
_IDLE_S: Final = 15.0
_SETTLES_S: Final = 5.0
_POLL_S: Final = 0.2
# Instruments that no workload reaches.
_FIRST_NUMBER: Final = 300_000_000
_AGE_US: Final = 3_600 * 1_000_000


class Record(NamedTuple):
    """What Kafka is given. A delete has no value, which is all that Connect sinks know; `delete` is the product's."""

    key: bytes | None
    value: bytes | None
    delete: bytes = b""


@dataclass(frozen=True)
class Scenario:
    """Records, and what a reader must get of each instrument afterwards: its version, or None for "gone".

    With `memory_share` Redis has room for about that share of the instruments, and later for all.
    """

    name: str
    records: list[Record]
    expected: dict[str, int | None]
    memory_share: float | None = None


@dataclass(frozen=True)
class ScenarioResult:
    """A reader got what it must not for `wrong` of `of` instruments. `state` is the task's at the end.

    `claims` is true if the sink says that it took every record: what is then missing was lost silently.
    """

    name: str
    wrong: int
    of: int
    state: str
    claims: bool
    why: str = ""


class Run(Protocol):
    """A sink that works on one scenario."""

    redis: Any

    def await_done(self, idle_s: float) -> None:
        """Wait until the sink says that it took all. Raises Stuck."""
        ...

    def state(self) -> str:
        """The state of its task now."""
        ...

    def versions(self, keys: Sequence[str]) -> dict[str, int | None]:
        """What a reader gets: the version, None for nothing, 0 for bytes that are no record of the key."""
        ...


class Target(Protocol):
    """A sink to which scenarios are given."""

    def give(self, scenario: Scenario) -> AbstractContextManager[Run]:
        """Begin on the scenario's records, with its memory."""
        ...


def run_scenarios(target: Target, contract: Contract) -> list[ScenarioResult]:
    """Every scenario in turn."""
    return [_run(target, scenario) for scenario in scenarios(contract)]


def _run(target: Target, scenario: Scenario) -> ScenarioResult:
    with target.give(scenario) as run:
        if scenario.memory_share:
            time.sleep(_REFUSES_S)
            run.redis.config_set("maxmemory", 0)
        state, why, claims = RUNNING, "", False
        try:
            run.await_done(_IDLE_S)
            claims, state = True, run.state()
        except Stuck as stuck:
            state, why = stuck.state, stuck.why
        wrong = _wrong(run, scenario.expected)
    return ScenarioResult(scenario.name, wrong, len(scenario.expected), state, claims, why)


def _wrong(run: Run, expected: Mapping[str, int | None]) -> int:
    """Instruments of which a reader gets what it must not, and still does after some seconds."""
    deadline = time.monotonic() + _SETTLES_S
    while True:
        found = run.versions(list(expected))
        wrong = sum(found[key] != version for key, version in expected.items())
        if not wrong or time.monotonic() > deadline:
            return wrong
        time.sleep(_POLL_S)


def scenarios(contract: Contract) -> Iterator[Scenario]:
    """An older version after the newer one, deletions, records that cannot be taken, and no memory."""
    makers = _Makers(contract)
    yield makers.older_after_newer()
    yield makers.delete_behind_put()
    yield makers.put_behind_delete()
    yield makers.broken_json()
    yield makers.empty_key()
    yield makers.no_key()
    yield makers.out_of_memory()


class _Makers:
    """Makes each scenario of instruments of its own."""

    def __init__(self, contract: Contract) -> None:
        self._maker = RecordMaker(contract, "benchmark")
        self._key = contract.key.name
        self._next = _FIRST_NUMBER
        self._version = SystemClock().now_us() - _AGE_US

    def older_after_newer(self) -> Scenario:
        rows, version = self._rows(KEYS), self._version
        newer = [self._put(key, row, version + 10) for key, row in rows.items()]
        older = [self._put(key, row, version) for key, row in rows.items()]
        return Scenario("an older version after the newer", newer + older, dict.fromkeys(rows, version + 10))

    def delete_behind_put(self) -> Scenario:
        rows, version = self._rows(KEYS), self._version
        pairs = [(self._put(key, row, version), self._delete(key, version)) for key, row in rows.items()]
        return Scenario(
            "put and delete in one batch", [record for pair in pairs for record in pair], dict.fromkeys(rows)
        )

    def put_behind_delete(self) -> Scenario:
        rows, version = self._rows(KEYS), self._version
        records = []
        for key, row in rows.items():
            records += [self._put(key, row, version), self._delete(key, version), self._put(key, row, version + 10)]
        return Scenario("put, delete and put in one batch", records, dict.fromkeys(rows, version + 10))

    def broken_json(self) -> Scenario:
        """A reader must not get the broken record, and must get those around it."""
        rows = self._rows(KEYS)
        records = [self._put(key, row, self._version) for key, row in rows.items()]
        broken = records[KEYS // 2]
        records[KEYS // 2] = broken._replace(value=(broken.value or b"")[:-20])
        expected: dict[str, int | None] = dict.fromkeys(rows, self._version)
        expected[(broken.key or b"").decode()] = None
        return Scenario("a record that is cut off", records, expected)

    def no_key(self) -> Scenario:
        return self._bad_key("a record without a key", None)

    def empty_key(self) -> Scenario:
        return self._bad_key("a record with an empty key", b"")

    def _bad_key(self, name: str, bad: bytes | None) -> Scenario:
        """A reader must get the records around it; of the one itself nothing is asked."""
        rows = self._rows(KEYS)
        records = [self._put(key, row, self._version) for key, row in rows.items()]
        replaced = records[KEYS // 2]
        records[KEYS // 2] = replaced._replace(key=bad)
        others = (key for key in rows if key.encode() != replaced.key)
        return Scenario(name, records, dict.fromkeys(others, self._version))

    def out_of_memory(self) -> Scenario:
        rows = self._rows(OUT_OF_MEMORY_KEYS)
        records = [self._put(key, row, self._version) for key, row in rows.items()]
        return Scenario("Redis out of memory for a while", records, dict.fromkeys(rows, self._version), 0.5)

    def _rows(self, count: int) -> dict[str, bytes]:
        """Rows of the next instruments, by key."""
        rows = list(synthetic_rows(count, start=self._next))
        self._next += count
        return {msgspec.json.decode(row)[self._key]: row for row in rows}

    def _put(self, key: str, row: bytes, version: int) -> Record:
        return Record(key.encode(), self._maker.put(Put(key, row, version, 0), version))

    def _delete(self, key: str, version: int) -> Record:
        return Record(key.encode(), None, self._maker.delete(key, version, 0, self._version, self._version))
