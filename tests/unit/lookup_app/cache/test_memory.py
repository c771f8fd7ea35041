"""The bytes that the cache counts are those that it takes: its bound is one on memory, not on a sum of lengths."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable

import pytest

from instrument_cache.contract import Contract
from lookup_app.cache.near_cache import NearCache
from lookup_app.entries import instrument_of
from lookup_app.headers import JSON, headers_of
from lookup_app.hot_path.shelf import Shelf

ENTRIES = 5_000


def stored(number: int) -> bytes:
    return b'{"v":%d,"cusip":"%09d","name":"%b"}' % (1_763_674_000_123_456 + number, number, b"x" * 300)


def read(cache: NearCache, shelf: Shelf, contract: Contract) -> None:
    for number in range(ENTRIES):
        key = f"instr:{number:09d}"
        cache.keep(cache.begin([key]), [key], [stored(number)], "here", lambda _: 0)


def read_that_there_is_nothing(cache: NearCache, shelf: Shelf, contract: Contract) -> None:
    for number in range(ENTRIES):
        key = f"instr:{number:09d}"
        cache.keep(cache.begin([key]), [key], [None], "here", lambda _: 0)


def ready(cache: NearCache, shelf: Shelf, contract: Contract) -> None:
    read(cache, shelf, contract)
    headers_for = headers_of(contract)
    for number in range(ENTRIES):
        text = f"{number:09d}"
        entry = cache.entries[f"instr:{text}"]
        entry.used = True
        instrument = instrument_of(text, entry.value)
        length = ("Content-Length", str(len(instrument.body)))
        shelf.put_whole(text, instrument, (*headers_for(instrument), ("Content-Type", JSON), length))


Fill = Callable[[NearCache, Shelf, Contract], None]


@pytest.mark.parametrize("fill", [read, read_that_there_is_nothing, ready])
def test_what_is_counted_is_what_is_used(fill: Fill, contract: Contract) -> None:
    cache = NearCache(1 << 30, 1.0)
    cache.restart("here")
    shelf = Shelf(cache, "instr:")
    gc.collect()
    tracemalloc.start()
    fill(cache, shelf, contract)
    gc.collect()
    used, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(cache.entries) == ENTRIES
    assert used <= cache.bytes_used <= 1.6 * used, (used / ENTRIES, cache.bytes_used / ENTRIES)
