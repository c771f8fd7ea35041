"""A good backup in two regions that are dictionaries."""

from __future__ import annotations

import pytest

from instrument_cache.backup.catalog import BackupCatalog
from instrument_cache.backup.entries import Entry
from instrument_cache.backup.manifest import Manifest
from tests.unit.restore.backups import TwoRegions, instrument, write_backup

VERSION = 1_763_674_000_000_000


@pytest.fixture
def entries() -> list[Entry]:
    return [instrument(number, VERSION + number) for number in range(40)]


@pytest.fixture
def regions() -> TwoRegions:
    return TwoRegions()


@pytest.fixture
def manifest(regions: TwoRegions, entries: list[Entry]) -> Manifest:
    return write_backup(regions.both, entries, positions={0: 7})


@pytest.fixture
def catalog(regions: TwoRegions) -> BackupCatalog:
    return regions.catalog
