"""The chain itself: no report is lost, none is there twice, whoever writes and whatever is away."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from instrument_cache.audit.entry import NO_ENTRY, sha256
from instrument_cache.audit.fact import Fact, fact_of
from instrument_cache.audit.trail import LockPolicy, Trail
from instrument_cache.backup.signing import SigningKeys
from instrument_cache.errors import ObjectStoreUnavailable, SettingsError
from instrument_cache.objects_memory import MemoryObjects
from tests.contract.audit.scene import Scene


def test_links_are_numbered_and_each_holds_the_hash_of_the_one_before(scene: Scene) -> None:
    entries = scene.fill(3)
    assert [entry.number for entry in entries] == [1, 2, 3]
    raws = [scene.first.get(scene.trail.names.entry(number)) for number in (1, 2, 3)]
    assert [entry.previous for entry in entries] == [NO_ENTRY, sha256(raws[0]), sha256(raws[1])]
    assert sha256(scene.reports.get(entries[2].report)) == entries[2].sha256
    found = scene.audit.verify()
    assert (found.ok, found.entries, found.head) == (True, 3, sha256(raws[2]))


def test_nobody_removes_what_was_chained(scene: Scene) -> None:
    scene.fill(2)
    for objects in (scene.first, scene.second):
        assert objects.erase(f"audit/{scene.dataset}/") >= 4
    assert scene.named() == []


@pytest.mark.parametrize("count", [*range(9), 31, 32])
def test_the_newest_entry_is_found_without_reading_all(count: int) -> None:
    first = MemoryObjects("first")
    scene = Scene(first, MemoryObjects("second"), MemoryObjects("reports"), "set")
    scene.fill(count)
    assert scene.trail.chain.head() == count
    for number in range(1, count):
        del first.bodies[scene.trail.names.entry(number)]
        assert scene.trail.chain.head() == count, "also if somebody has removed entries"


def test_the_same_report_is_chained_once(scene: Scene) -> None:
    scene.fill(2)
    again = scene.trail.record(fact_of(*scene.write(1)))
    assert (again.number, scene.trail.chain.head()) == (1, 2)


def test_writers_at_once_get_a_number_each(scene: Scene) -> None:
    facts = [fact_of(*scene.write(number)) for number in range(1, 9)]
    with ThreadPoolExecutor(8) as pool:
        # Each report comes from two tries at once.
        entries = list(pool.map(lambda fact: scene.trail.record(fact), facts * 2))
    assert sorted({entry.number for entry in entries}) == list(range(1, 9))
    assert [entry.number for entry in entries[:8]] == [entry.number for entry in entries[8:]]
    assert scene.named() == []


def test_an_empty_trail_is_sound(scene: Scene) -> None:
    found = scene.audit.verify()
    assert (found.ok, found.entries, found.head) == (True, 0, NO_ENTRY)


def test_without_a_signing_key_nothing_is_chained(scene: Scene) -> None:
    trail = Trail(scene.trail.regions, scene.dataset, SigningKeys(None), LockPolicy("GOVERNANCE", 1))
    with pytest.raises(SettingsError, match="ICACHE_BACKUP_SIGNING_KEY"):
        trail.record(fact_of(*scene.write(1)))
    assert scene.trail.chain.head() == 0


class Breaking(MemoryObjects):
    """Goes away with the n-th write; `after`: it has done that write before."""

    def __init__(self, writes: int, after: bool) -> None:
        super().__init__("first")
        self.left, self.after = writes, after

    def put_once(self, key: str, body: bytes, metadata: object = None, lock: object = None) -> bool:
        self.left -= 1
        if self.left == 0 and not self.after:
            self.away = True
        done = super().put_once(key, body, metadata, lock)  # type: ignore[arg-type]
        if self.left == 0 and self.after:
            self.away = True
            raise ObjectStoreUnavailable("the answer got lost")
        return done


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("writes", [1, 2, 3])
def test_s3_goes_away_while_the_chain_is_written(writes: int, after: bool) -> None:
    first = Breaking(3 + writes, after)
    scene = Scene(first, MemoryObjects("second"), MemoryObjects("reports"), "set")
    scene.chain(1)
    waiting = fact_of(*scene.write(2))
    with pytest.raises(ObjectStoreUnavailable):
        scene.trail.record(waiting)
    first.away = False
    scene.chain(3)

    settled = scene.audit.settle()
    assert settled.missing == {}
    assert [scene.entry(number).number for number in (1, 2, 3)] == [1, 2, 3]
    assert scene.trail.chain.head() == 3
    assert scene.trail.record(waiting).report == waiting.report
    assert (scene.trail.chain.head(), scene.named()) == (3, [])
    assert scene.audit.settle().chained == []


def test_the_second_region_gets_later_what_it_missed() -> None:
    second = MemoryObjects("second")
    scene = Scene(MemoryObjects("first"), second, MemoryObjects("reports"), "set")
    scene.chain(1)
    second.away = True
    scene.chain(2)
    scene.chain(3)
    assert any("region second: could not be read" in finding for finding in scene.named())
    second.away = False
    assert any("anchor 2 in region second" in finding for finding in scene.named())
    scene.chain(4)
    assert scene.named() == []


def test_settling_brings_a_region_what_it_lacks() -> None:
    second = MemoryObjects("second")
    scene = Scene(MemoryObjects("first"), second, MemoryObjects("reports"), "set")
    scene.fill(3)
    second.bodies.clear()
    assert scene.audit.settle().anchored == {"first": 0, "second": 3}
    assert scene.named() == []


def test_reports_that_wait_are_chained_by_their_day_and_marked(scene: Scene) -> None:
    late = scene.write(1, operation="zebra", started_at="2025-01-01T00:00:00+00:00")[0]
    later = scene.write(2, operation="ape", started_at="2025-01-02T00:00:00+00:00")[0]
    assert scene.audit.settle().chained == [late, later]
    assert [scene.entry(number).late for number in (1, 2)] == [True, True]


def test_what_cannot_be_read_is_chained_as_it_is(scene: Scene) -> None:
    name = f"reports/{scene.dataset}/odd/2026-01-01/x.json"
    scene.reports.put_once(name, b"\xff{")
    scene.audit.settle()
    assert scene.entry(1).kind == "unreadable"
    assert scene.named() == []


def test_an_entry_of_another_report_is_never_taken_for_ones_own(scene: Scene) -> None:
    scene.fill(2)
    odd = Fact("reconcile", "reports/x/reconcile/2026-01-01/odd.json", b"{}", True, "odd")
    assert scene.trail.record(odd).number == 3
