"""The simulator's store: what it keeps, and that it keeps the same as the in-memory twin."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from instrument_cache.clock import FakeClock
from instrument_cache.errors import SettingsError
from instrument_cache.source.interface import Put
from instrument_cache.source.memory import MemorySource
from local_stack.sow_simulator.store import SowStore

NOW = 1_763_674_000_000_000


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(NOW)


@pytest.fixture
def store(tmp_path: Path, clock: FakeClock) -> Iterator[SowStore]:
    opened = open_store(tmp_path, clock)
    yield opened
    opened.close()


def open_store(folder: Path, clock: FakeClock) -> SowStore:
    return SowStore(folder / "t.sqlite3", "t", "cusip", "last_updated", clock)


def row(key: str, version: int | None = None, filler: str = "") -> bytes:
    return f'{{"cusip":"{key}","last_updated":{version or "null"},"filler":"{filler}"}}'.encode()


def test_each_publish_is_a_message_also_when_the_state_stays(store: SowStore) -> None:
    messages = store.publish([row("a", NOW + 5), row("a", NOW + 4)])
    assert [(m.version, m.timestamp, m.position) for m in messages] == [(NOW + 5, NOW, 1), (NOW + 4, NOW + 1, 2)]
    assert store.get("a") == messages[0]


def test_timestamps_grow_although_the_clock_goes_back_and_the_store_is_reopened(
    store: SowStore, clock: FakeClock, tmp_path: Path
) -> None:
    store.publish([row("a"), row("b")])
    store.delete(["b"])
    clock.advance(-3600)
    store.close()
    reopened = open_store(tmp_path, clock)
    assert [(m.timestamp, m.position) for m in reopened.publish([row("a"), row("c")])] == [(NOW + 3, 4), (NOW + 4, 5)]
    assert reopened.delete(["c"])[0][0][2:] == (NOW + 5, 6, None)
    reopened.close()


def test_a_delete_answers_which_keys_were_not_held(store: SowStore) -> None:
    store.publish([row("a", NOW), row("b", NOW)])
    messages, unknown = store.delete(["a", "x", "a", ""])
    assert ([m.key for m in messages], unknown) == (["a"], ["x", ""])
    assert store.delete(["a"]) == ([], ["a"])
    assert (store.count(), store.position) == (1, 3)
    assert store.get("a") is None


def test_pages_are_bounded_by_bytes_and_rows(store: SowStore) -> None:
    store.publish([row(f"{i:05d}", NOW, "x" * 1000) for i in range(2_500)])
    assert len(store.page("", 1)) == 1
    assert len(store.page("", 10_000)) == 10
    assert len(store.page("", 10**9)) == 1_000
    assert [m.key for m in store.page("02497", 10**9)] == ["02498", "02499"]
    assert store.page("02499", 10**9) == []


def test_a_full_disk_leaves_the_store_as_it_was(store: SowStore) -> None:
    store.publish([row("a", NOW)])
    pages = store._db.execute("PRAGMA page_count").fetchone()[0]
    store._db.execute(f"PRAGMA max_page_count = {pages + 1}")
    with pytest.raises(sqlite3.OperationalError, match="full"):
        store.publish([row("b", NOW, "x" * 1_000_000)])
    assert (store.count(), store.position) == (1, 1)
    assert store.publish([row("a", NOW + 1)])[0].position == 2


def test_a_file_of_other_fields_is_not_opened(store: SowStore, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="'cusip' and ordered by 'last_updated', not 'isin'"):
        SowStore(tmp_path / "t.sqlite3", "t", "isin", "last_updated")


KEYS = st.sampled_from("abc")
PUBLISHES = st.lists(st.builds(row, KEYS, st.none() | st.integers(NOW - 3, NOW + 9)) | st.just(b"bad"), min_size=1)
DELETES = st.lists(KEYS)


@settings(max_examples=60)
@given(st.lists(PUBLISHES | DELETES, max_size=12))
def test_it_keeps_the_same_as_the_in_memory_twin(steps: list[list[bytes] | list[str]]) -> None:
    clock = FakeClock(NOW)
    twin = MemorySource(clock=clock)
    with TemporaryDirectory() as folder:
        store = open_store(Path(folder), clock)
        for step in steps:
            rows = [item for item in step if isinstance(item, bytes)]
            keys = [item for item in step if isinstance(item, str)]
            if rows:
                assert len(store.publish(rows)) == twin.publish(rows)
            assert len(store.delete(keys)[0]) == twin.delete(keys)
            held = [Put(m.key, m.payload or b"", m.timestamp, m.position) for m in store.page("", 10**9)]
            assert held == [event for event in twin.snapshot() if isinstance(event, Put)]
            assert store.count() == twin.count()
        store.close()
