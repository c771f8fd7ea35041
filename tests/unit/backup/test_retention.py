"""What the retention removes, and what it never does."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import pytest

from instrument_cache.backup.entries import Entry
from instrument_cache.backup.manifest import Manifest, backup_name, good_key
from instrument_cache.backup.region import Region
from instrument_cache.backup.retention import Policy, Protected, apply_policy, protect_newest
from instrument_cache.errors import BackupRefused
from instrument_cache.objects import ObjectLock
from tests.unit.restore.backups import TwoRegions, write_backup

NOW = datetime(2025, 11, 21, 18, tzinfo=UTC)


def names(*hours_ago: float) -> list[str]:
    return [backup_name(f"run {hours}", NOW - timedelta(hours=hours)) for hours in hours_ago]


def test_by_count_and_by_age() -> None:
    good = names(1, 2, 30, 60)
    assert Policy(count=2, days=7).removable(good, [], NOW) == sorted(good[2:])
    assert Policy(count=9, days=1).removable(good, [], NOW) == sorted(good[2:])
    assert Policy(count=9, days=9).removable(good, [], NOW) == []


def test_the_newest_good_one_stays_whatever_its_age() -> None:
    good = names(24 * 400, 24 * 500)
    assert Policy(count=1, days=1).removable(good, [], NOW) == good[1:]


def test_what_never_became_good_goes_after_a_day_once_a_newer_good_one_is_there() -> None:
    left, fresh, newer_than_any_good = names(40, 3, 30)
    assert Policy(count=9, days=9).removable(names(1), [left, fresh], NOW) == [left]
    assert Policy(count=9, days=9).removable(names(35), [newer_than_any_good, left], NOW) == [left]
    assert Policy(count=9, days=9).removable([], [left, fresh], NOW) == []


@pytest.mark.parametrize("seed", range(20))
def test_never_removes_the_last_good_one(seed: int) -> None:
    chance = random.Random(seed)
    good = names(*sorted(chance.sample(range(2000), chance.randint(1, 30))))
    others = names(*(chance.randint(0, 2000) + 0.5 for _ in range(chance.randint(0, 9))))
    removed = Policy(chance.randint(1, 10), chance.randint(1, 30)).removable(good, others, NOW)
    assert good[0] not in removed
    assert len(removed) == len(set(removed))


def _apply(regions: TwoRegions, policy: Policy, *, dry_run: bool = False) -> dict[str, list[str]]:
    def is_good(region: Region, name: str) -> bool:
        try:
            return regions.catalog.checked(region, name).name == name
        except BackupRefused:
            return False

    done = apply_policy(regions.catalog.regions, "instruments", policy, NOW, is_good, dry_run)
    return done.removed


def _many(regions: TwoRegions, entries: list[Entry], count: int) -> list[Manifest]:
    """The newest first."""
    ages = [timedelta(hours=hours) for hours in range(1, count + 1)]
    return [write_backup(regions.both, entries, run_id=f"{age}", at=NOW - age) for age in ages]


def test_removes_every_object_of_a_backup(regions: TwoRegions, entries: list[Entry]) -> None:
    made = _many(regions, entries, 3)
    expected = [made[2].name]
    assert _apply(regions, Policy(2, 7), dry_run=True) == {"first": expected, "second": expected}
    assert len(regions.catalog.good()) == 3
    assert _apply(regions, Policy(2, 7)) == {"first": expected, "second": expected}
    assert regions.catalog.good() == made[:2]
    assert not [key for key in regions.first.bodies if made[2].name in key]


def test_a_mark_on_a_damaged_manifest_protects_nothing(regions: TwoRegions, entries: list[Entry]) -> None:
    """The last one that can be restored stays, although newer ones are marked."""
    newest, middle, oldest = _many(regions, entries, 3)
    for objects in (regions.first, regions.second):
        for made in (newest, middle):
            objects.bodies[good_key("instruments", made.name)] += b" "
    assert _apply(regions, Policy(1, 1)) == {"first": [], "second": []}
    assert regions.catalog.good() == [oldest]


def test_where_nothing_can_be_restored_nothing_is_removed(regions: TwoRegions, entries: list[Entry]) -> None:
    made = _many(regions, entries, 2)
    for objects in (regions.first, regions.second):
        for manifest in made:
            objects.bodies[good_key("instruments", manifest.name)] = b"damaged"
    assert _apply(regions, Policy(1, 1)) == {"first": [], "second": []}


def test_a_locked_backup_stays_whole(regions: TwoRegions, entries: list[Entry]) -> None:
    made = _many(regions, entries, 2)
    lock = ObjectLock("GOVERNANCE", datetime.now(UTC) + timedelta(hours=1))
    regions.first.locks = {key: lock for key in regions.first.bodies}
    assert _apply(regions, Policy(1, 7)) == {"first": [], "second": [made[1].name]}
    assert regions.catalog.good() == made


def test_a_region_that_is_away_stops_not_the_other(regions: TwoRegions, entries: list[Entry]) -> None:
    made = _many(regions, entries, 2)
    regions.first.away = True
    assert _apply(regions, Policy(1, 7)) == {"second": [made[1].name]}


def _protect(regions: TwoRegions, now: datetime) -> Protected:
    def is_good(region: Region, name: str) -> bool:
        return name in {found.name for found in regions.catalog.good()}

    lock = ObjectLock("GOVERNANCE", now + timedelta(hours=24))
    return protect_newest(regions.catalog.regions, "instruments", lock, now, is_good)


def test_the_lock_of_the_newest_good_one_is_lengthened_when_half_of_it_is_over(
    regions: TwoRegions, entries: list[Entry]
) -> None:
    newest, _ = _many(regions, entries, 2)
    keys = {key for key in regions.first.bodies if newest.name in key}
    assert _protect(regions, NOW).until.keys() == {"first", "second"}
    assert set(regions.first.locks) == keys
    for hours, ends in ((11, 24), (13, 37), (40, 64)):
        _protect(regions, NOW + timedelta(hours=hours))
        assert {lock.until for lock in regions.second.locks.values()} == {NOW + timedelta(hours=ends)}


def test_a_region_without_a_good_one_has_nothing_to_protect_and_one_that_is_away_is_said(
    regions: TwoRegions, entries: list[Entry]
) -> None:
    _many(regions, entries, 1)
    regions.first.away = True
    done = _protect(regions, NOW)
    assert (done.until.keys(), done.missing.keys()) == ({"second"}, {"first"})
    assert Protected() == _protect(TwoRegions(), NOW)
