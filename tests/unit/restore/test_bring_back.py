"""What a restore and a roll back make of the cache, on the in-memory store."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from instrument_cache.backup.entries import Entry
from instrument_cache.backup.reader import BackupReader
from instrument_cache.backup.region import Region
from instrument_cache.change import is_tombstone, version_of
from instrument_cache.clock import FakeClock
from instrument_cache.errors import StoreUnavailable
from instrument_cache.objects_memory import MemoryObjects
from instrument_cache.restore.counts import Counts
from instrument_cache.restore.dry_store import DryStore
from instrument_cache.restore.interface import RestoreStore
from instrument_cache.restore.offering import offer_entries
from instrument_cache.restore.patience import Patience
from instrument_cache.restore.roll_back import RollBack
from instrument_cache.restore.scope import KeyFilter, Scope, scope_of
from instrument_cache.store.memory import MemoryStore
from tests.unit.restore.backups import CONTRACT, cusip, hint, instrument, value, write_backup

CLOCK = FakeClock()
NOW_MS = CLOCK.now_us() // 1000
V = CLOCK.now_us() - 60_000_000
AT_ONCE = Patience(0)
ALL = Scope()


def reader_of(*entries: Entry) -> BackupReader:
    objects = MemoryObjects()
    return BackupReader(Region("first", objects), write_backup([objects], entries))


def restored(store: RestoreStore, scope: Scope, *entries: Entry) -> Counts:
    wanted = KeyFilter(CONTRACT, scope)
    return offer_entries(reader_of(*entries).entries(), wanted, store, lambda: NOW_MS, AT_ONCE)


def rolled_back(store: RestoreStore, folder: Path, scope: Scope, *entries: Entry) -> Counts:
    wanted = KeyFilter(CONTRACT, scope)
    return RollBack(CONTRACT, store, wanted, lambda: NOW_MS, AT_ONCE).run(reader_of(*entries), folder)


def held(store: RestoreStore, *numbers: int) -> list[bytes | None]:
    return store.get_many([f"instr:{cusip(number)}" for number in numbers])


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore(CLOCK)


def test_newer_data_stays_and_the_rest_is_brought_back(store: MemoryStore) -> None:
    newer, same, older = (instrument(number, V + number) for number in range(3))
    store.offer({newer.key: value(0, V + 50), same.key: same.value, older.key: value(2, V)})
    counts = restored(store, ALL, newer, same, older, instrument(3, V))
    assert counts == Counts(read=4, applied=2, duplicate=1, stale=1)
    assert held(store, 0, 1, 2, 3) == [value(0, V + 50), same.value, older.value, value(3, V)]


def test_what_has_expired_does_not_come_back_to_life(store: MemoryStore) -> None:
    tombstone = Entry(f"instr:{cusip(1)}", b'{"v":%d,"~deleted_at":%d}' % (V, V), NOW_MS)
    counts = restored(store, ALL, instrument(0, V, NOW_MS - 1), tombstone, instrument(2, V, NOW_MS + 1))
    assert counts == Counts(read=3, applied=1, expired=2)
    assert held(store, 0, 1, 2) == [None, None, value(2, V)]


def test_a_range_brings_its_aliases_and_nothing_else(store: MemoryStore) -> None:
    entries = [instrument(n, V) for n in range(3)] + [Entry(f"pme:P{n}", hint(n, V), 0) for n in range(3)]
    restored(store, scope_of(CONTRACT, keys=(cusip(1),)), *entries)
    assert held(store, 0, 1, 2) == [None, value(1, V), None]
    assert store.get_many(["pme:P0", "pme:P1", "pme:P2"]) == [None, hint(1, V), None]


def test_the_same_again_changes_nothing(store: MemoryStore) -> None:
    entries = [instrument(n, V) for n in range(5)]
    restored(store, ALL, *entries)
    assert restored(store, ALL, *entries) == Counts(read=5, duplicate=5)


@pytest.mark.parametrize("run", [restored, rolled_back])
def test_a_dry_run_counts_the_same_and_writes_nothing(
    store: MemoryStore, tmp_path: Path, run: Callable[..., Counts]
) -> None:
    store.offer({f"instr:{cusip(n)}": value(n, V + 50) for n in (0, 9)} | {f"instr:{cusip(1)}": value(1, V)})
    before = dict(store.scan("instr"))
    entries = [instrument(0, V), instrument(1, V + 1), instrument(2, V, NOW_MS - 1)]
    folder = [tmp_path] if run is rolled_back else []
    wet, dry = tmp_path / "wet", tmp_path / "dry"
    wet.mkdir(), dry.mkdir()
    planned = run(DryStore(store), *([dry] if folder else []), ALL, *entries)
    assert dict(store.scan("instr")) == before
    assert run(store, *([wet] if folder else []), ALL, *entries) == planned


def test_a_roll_back_replaces_newer_data_and_removes_what_came_since(store: MemoryStore, tmp_path: Path) -> None:
    back, same = instrument(0, V), instrument(1, V)
    store.offer({back.key: value(0, V + 50), same.key: same.value, f"instr:{cusip(2)}": value(2, V + 60)})
    store.offer({"pme:NEW": hint(2, V + 60), "pme:OLD": hint(0, V + 50)})
    counts = rolled_back(store, tmp_path, ALL, back, same, instrument(3, V), Entry("pme:OLD", hint(0, V), 0))
    assert counts == Counts(read=4, applied=1, duplicate=1, replaced=2, removed=2)
    assert held(store, 0, 1, 3) == [back.value, same.value, value(3, V)]
    assert store.get_many(["pme:NEW", "pme:OLD"]) == [None, hint(0, V)]
    (gone,) = held(store, 2)
    assert gone is not None
    assert is_tombstone(gone)
    assert version_of(gone) == V + 60


def test_a_replay_of_the_log_does_not_bring_back_what_a_roll_back_removed(store: MemoryStore, tmp_path: Path) -> None:
    bad = {f"instr:{cusip(2)}": value(2, V + 60)}
    store.offer(bad)
    rolled_back(store, tmp_path, ALL, instrument(0, V))
    assert store.offer(bad) == "s"
    assert store.offer({f"instr:{cusip(2)}": value(2, V + 70)}) == "a"


def test_a_roll_back_done_again_changes_nothing(store: MemoryStore, tmp_path: Path) -> None:
    store.offer({f"instr:{cusip(n)}": value(n, V + 50) for n in range(4)})
    entries = [instrument(n, V) for n in range(2)]
    rolled_back(store, tmp_path, ALL, *entries)
    before = dict(store.scan("instr"))
    assert rolled_back(store, tmp_path, ALL, *entries) == Counts(read=2, duplicate=2)
    assert dict(store.scan("instr")) == before


def test_a_roll_back_of_some_keys_leaves_the_others(store: MemoryStore, tmp_path: Path) -> None:
    store.offer({f"instr:{cusip(n)}": value(n, V + 50) for n in range(3)})
    store.offer({"pme:P2": hint(2, V + 50), "pme:P1": hint(1, V + 50)})
    rolled_back(store, tmp_path, scope_of(CONTRACT, keys=(cusip(0), cusip(1))), instrument(0, V))
    kept = held(store, 0, 2)
    assert kept == [value(0, V), value(2, V + 50)]
    assert store.get_many(["pme:P1", "pme:P2"]) == [None, hint(2, V + 50)]


def test_a_roll_back_removes_what_would_have_expired_by_now(store: MemoryStore, tmp_path: Path) -> None:
    store.offer({f"instr:{cusip(0)}": value(0, V + 50)})
    counts = rolled_back(store, tmp_path, ALL, instrument(0, V, NOW_MS - 1), instrument(1, V, NOW_MS - 1))
    assert (counts.removed, counts.expired) == (1, 1)
    assert held(store, 0, 1) == [None, None]


def test_keys_of_others_are_never_touched(store: MemoryStore, tmp_path: Path) -> None:
    others = {"session:1": b"theirs", "instr2:X": value(0, V), "pmeX:1": b"theirs"}
    for key, stored in others.items():
        store.replace(key, None, stored)
    store.replace("instr:odd\nsession:1", None, b"theirs")
    rolled_back(store, tmp_path, ALL, instrument(0, V))
    assert dict(zip(others, store.get_many(list(others)), strict=True)) == others


class Flickering(MemoryStore):
    """Fails before, and then after, it did what it was asked."""

    failures = 2

    def offer(self, values: object, expires_at_ms: object = None) -> str:
        if self.failures == 2:
            self.failures = 1
            raise StoreUnavailable("away")
        letters = super().offer(values, expires_at_ms)  # type: ignore[arg-type]
        if self.failures == 1:
            self.failures = 0
            raise StoreUnavailable("the answer was lost")
        return letters


def test_a_store_that_is_away_for_a_while_is_waited_for() -> None:
    store = Flickering(CLOCK)
    wanted = KeyFilter(CONTRACT, ALL)
    offer_entries(reader_of(instrument(0, V)).entries(), wanted, store, lambda: NOW_MS, Patience(10))
    assert held(store, 0) == [value(0, V)]


def test_a_store_that_stays_away_is_given_up() -> None:
    with pytest.raises(StoreUnavailable, match="away"):
        restored(Flickering(CLOCK), ALL, instrument(0, V))
