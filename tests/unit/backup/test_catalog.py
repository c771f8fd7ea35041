"""What the catalog offers, from which region, and what it says while one is away."""

from __future__ import annotations

from datetime import timedelta

import pytest

from instrument_cache.backup.catalog import BackupCatalog
from instrument_cache.backup.entries import Entry
from instrument_cache.backup.manifest import Manifest, backup_name, good_key, name_time
from instrument_cache.errors import BackupRefused, ObjectStoreUnavailable
from tests.unit.restore.backups import TwoRegions, write_backup


@pytest.fixture
def older(regions: TwoRegions, entries: list[Entry], manifest: Manifest) -> Manifest:
    return write_backup(regions.both, entries[:5], run_id="older", at=manifest.started - timedelta(hours=1))


def test_offers_the_newest_first(catalog: BackupCatalog, manifest: Manifest, older: Manifest) -> None:
    assert catalog.good() == [manifest, older]
    assert catalog.newest_good() == manifest
    assert list(catalog.each_good()) == [manifest, older]


def test_as_of_a_time_offers_only_what_was_finished_by_then(
    catalog: BackupCatalog, manifest: Manifest, older: Manifest
) -> None:
    assert catalog.as_of(manifest.started) == manifest
    assert catalog.as_of(manifest.started - timedelta(seconds=1)) == older
    with pytest.raises(BackupRefused, match="no good backup was finished by"):
        catalog.as_of(older.started - timedelta(seconds=1))


@pytest.mark.parametrize("away", ["first", "second"])
def test_one_region_is_enough(regions: TwoRegions, manifest: Manifest, away: str) -> None:
    getattr(regions, away).away = True
    assert regions.catalog.good() == [manifest]
    assert [region.name for region, _ in regions.catalog.copies(manifest.name)] == [
        {"first", "second"}.difference({away}).pop()
    ]


def test_what_one_region_lacks_another_has(regions: TwoRegions, entries: list[Entry], manifest: Manifest) -> None:
    only_second = write_backup([regions.second], entries, run_id="second", at=manifest.started + timedelta(minutes=15))
    assert regions.catalog.newest_good() == only_second
    del regions.first.bodies[good_key(manifest.dataset, manifest.name)]
    assert regions.catalog.good() == [only_second, manifest]


def test_no_region_is_an_outage_and_no_empty_catalog(regions: TwoRegions, manifest: Manifest) -> None:
    regions.first.away = regions.second.away = True
    for ask in (regions.catalog.good, regions.catalog.newest_good, lambda: regions.catalog.named(manifest.name)):
        with pytest.raises(ObjectStoreUnavailable):
            ask()


def test_a_refusal_says_more_than_that_a_region_has_none(
    regions: TwoRegions, entries: list[Entry], manifest: Manifest
) -> None:
    made = write_backup([regions.second], entries, run_id="x", good=False)
    with pytest.raises(BackupRefused, match="not_good"):
        regions.catalog.named(made.name)


def test_names_are_of_the_run_and_sort_by_time(manifest: Manifest) -> None:
    name = backup_name("run", manifest.started)
    assert name == manifest.name == backup_name("run", manifest.started)
    assert name != backup_name("other", manifest.started)
    assert name_time(name) == manifest.started
    assert name < backup_name("run", manifest.started + timedelta(seconds=1))
