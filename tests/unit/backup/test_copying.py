"""Regions are brought level: what one missed, and what was damaged there."""

from __future__ import annotations

import pytest

from instrument_cache.backup.copying import Copied, Copying
from instrument_cache.backup.entries import Entry
from instrument_cache.backup.manifest import Manifest, good_key, manifest_key
from tests.unit.restore.backups import TwoRegions, write_backup


def copying(regions: TwoRegions) -> Copying:
    return Copying(regions.catalog, lambda name: None)


def test_a_region_that_missed_a_backup_gets_it(regions: TwoRegions, entries: list[Entry]) -> None:
    made = write_backup([regions.first], entries)
    assert copying(regions).plan().copied == {"second": [made.name]}
    assert regions.second.bodies == {}
    assert copying(regions).run() == Copied(copied={"second": [made.name]})
    assert regions.second.bodies == regions.first.bodies
    assert copying(regions).run() == Copied()


def test_what_is_not_good_is_not_copied(regions: TwoRegions, entries: list[Entry]) -> None:
    write_backup([regions.first], entries, good=False)
    assert copying(regions).run() == Copied()


@pytest.mark.parametrize("kind", ["manifest", "mark", "shard"])
def test_what_was_damaged_is_mended(regions: TwoRegions, manifest: Manifest, kind: str) -> None:
    places = {
        "manifest": manifest_key("instruments", manifest.name),
        "mark": good_key("instruments", manifest.name),
        "shard": manifest.shards[2].key,
    }
    regions.first.bodies[places[kind]] = b"damaged"
    found = copying(regions).run(deep=True)
    assert found == Copied(copied={"first": [manifest.name]})
    assert regions.first.bodies == regions.second.bodies


def test_a_missing_shard_is_seen_only_by_the_deep_look(regions: TwoRegions, manifest: Manifest) -> None:
    del regions.second.bodies[manifest.shards[0].key]
    assert copying(regions).run() == Copied()
    assert copying(regions).run(deep=True).copied == {"second": [manifest.name]}


def test_damaged_in_both_it_cannot_be_mended(regions: TwoRegions, manifest: Manifest) -> None:
    regions.first.bodies[manifest.shards[0].key] = b"damaged"
    regions.second.bodies[manifest.shards[1].key] = b"damaged"
    found = copying(regions).run(deep=True)
    assert list(found.failed) == [manifest.name]
    assert "no region has a whole copy" in found.failed[manifest.name]


def test_a_region_that_is_away_is_named(regions: TwoRegions, manifest: Manifest) -> None:
    regions.second.away = True
    found = copying(regions).run()
    assert found == Copied(missing={"second": "S3 (second) does not answer"})
