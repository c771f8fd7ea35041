"""The list of backups, for people."""

from __future__ import annotations

from instrument_cache.backup.entries import Entry
from instrument_cache.backup.listing import rows
from instrument_cache.backup.manifest import Manifest
from tests.unit.restore.backups import TwoRegions, write_backup


def test_shows_the_good_ones_and_why_others_are_not(
    regions: TwoRegions, entries: list[Entry], manifest: Manifest
) -> None:
    unproved = write_backup(regions.both, entries, run_id="unproved", good=False)
    found = {row["name"]: row for row in rows(regions.catalog)}
    assert (found[manifest.name]["state"], found[manifest.name]["regions"]) == ("good", ["first", "second"])
    assert found[manifest.name]["entries"] == len(entries)
    assert "was not verified" in found[unproved.name]["state"]
    assert found[unproved.name]["regions"] == []


def test_while_a_region_is_away_the_other_shows_all(regions: TwoRegions, manifest: Manifest) -> None:
    regions.first.away = True
    assert [(row["name"], row["regions"]) for row in rows(regions.catalog)] == [(manifest.name, ["second"])]
