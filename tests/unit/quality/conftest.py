"""A dataset of synthetic instruments in the twins of store and source, and checks of it with Great Expectations."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

import msgspec
import pytest

from instrument_cache.clock import FakeClock
from instrument_cache.contract import Contract
from instrument_cache.quality.check import check
from instrument_cache.quality.model import CACHE, SOURCE, Checked, Profile
from instrument_cache.quality.records import Raw, Sampling, of_cache, of_source
from instrument_cache.reconcile.expected import ExpectedMaker
from instrument_cache.source.interface import Put
from instrument_cache.source.memory import MemorySource
from instrument_cache.store.memory import MemoryStore
from local_stack.synthetic import synthetic_cusip, synthetic_rows

ROWS = 1000
NOW_US = 1_800_000_000_000_000
Record = dict[str, Any]


class Data:
    """`cache`: Redis key → bytes, `rows`: of the source. Faults are planted into both before they are checked."""

    def __init__(self, contract: Contract, rows: int = ROWS) -> None:
        self.contract, self.clock = contract, FakeClock(NOW_US)
        self.rows = list(synthetic_rows(rows))
        source = self._source()
        maker = ExpectedMaker(contract, self.clock)
        puts = (event for event in source.snapshot() if isinstance(event, Put))
        self.cache: dict[str, bytes] = {}
        while page := list(islice(puts, 1000)):
            for made in maker.of_many(page):
                assert made is not None
                self.cache |= made.values

    def key(self, number: int) -> str:
        return f"instr:{synthetic_cusip(number)}"

    def edit(self, number: int, **members: Any) -> None:
        """Change members of a cached record."""
        record = msgspec.json.decode(self.cache[self.key(number)]) | members
        self.cache[self.key(number)] = msgspec.json.encode(record)

    def edit_row(self, number: int, **members: Any) -> None:
        """Change members of a row of the source; None removes one."""
        row = msgspec.json.decode(self.rows[number]) | members
        self.rows[number] = msgspec.json.encode({name: value for name, value in row.items() if value is not None})

    def check_cache(self, baseline: Profile | None = None, sample_percent: int = 100) -> Checked:
        store, sampling = MemoryStore(self.clock), Sampling(sample_percent)
        store.offer(self.cache)
        return self._check(CACHE, of_cache(store, self.contract, sampling), sampling, baseline)

    def check_source(self, baseline: Profile | None = None) -> Checked:
        sampling = Sampling()
        return self._check(SOURCE, of_source(self._source(), sampling), sampling, baseline)

    def _check(self, name: str, pages: Iterator[list[Raw]], sampling: Sampling, baseline: Profile | None) -> Checked:
        before = ("the last good run" if baseline else "", baseline)
        return check(self.contract, name, pages, sampling, before, self.clock)

    def _source(self) -> MemorySource:
        source = MemorySource(clock=self.clock)
        source.publish(self.rows)
        return source


@pytest.fixture
def data(contract: Contract) -> Data:
    return Data(contract)


def broken(checked: Checked) -> set[str]:
    """The names of the broken rules."""
    return {finding.rule for finding in checked.broken()}
