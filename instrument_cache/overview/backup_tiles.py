"""The newest good backup of each region."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from instrument_cache.backup.catalog import BackupCatalog
from instrument_cache.backup.manifest import Manifest
from instrument_cache.backup.region import Region
from instrument_cache.doctor.model import Severity
from instrument_cache.errors import BackupRefused
from instrument_cache.overview.limits import BACKUP
from instrument_cache.overview.model import Fact, Tile
from instrument_cache.overview.words import age_s, number_text, span_text


class RegionLook(NamedTuple):
    """The newest backup of a region that is signed as good, or None. `refused`: why a newer one does not count."""

    region: str
    newest: Manifest | None
    refused: str = ""


def newest_good(catalog: BackupCatalog, region: Region) -> RegionLook:
    """Looks at the marks from the newest on. `catalog` is of this region alone. Raises ObjectStoreUnavailable."""
    refused = ""
    for name in catalog.good_names():
        try:
            return RegionLook(region.name, catalog.checked(region, name), refused)
        except BackupRefused as error:
            refused = refused or str(error)
    return RegionLook(region.name, None, refused)


def backup_tile(look: RegionLook, now: datetime) -> Tile:
    """Red without a good backup, or with one that is too old to restore from."""
    seconds = age_s(look.newest.finished_at, now) if look.newest else None
    severity, sentence = _words(look, seconds)
    return Tile(
        part=f"backup:{look.region}",
        title=f"Backup in the {look.region} region",
        severity=severity,
        value="none" if seconds is None else f"{span_text(seconds)} old",
        sentence=sentence,
        mend="" if severity == "ok" else "See the log of the newest run of cache_backup, and start it.",
        runbook="cache_backup",
        dag="cache_backup",
        facts=_facts(look.newest),
    )


def _words(look: RegionLook, seconds: float | None) -> tuple[Severity, str]:
    if look.newest is None or seconds is None:
        return "red", look.refused or "There is no good backup to restore from."
    if look.refused:
        return "red", f"A newer backup does not count: {look.refused}"
    old: Severity = "red" if seconds > BACKUP.red_s else "warn" if seconds > BACKUP.warn_s else "ok"
    proved = f"{look.newest.name} was restored and compared."
    return old, proved if old == "ok" else f"The newest good backup is {span_text(seconds)} old: {look.newest.name}."


def _facts(newest: Manifest | None) -> tuple[Fact, ...]:
    if newest is None:
        return ()
    return (
        Fact("Entries", number_text(newest.entries)),
        Fact("Bytes", number_text(newest.bytes)),
        Fact("Encrypted", "yes" if newest.encryption else "no"),
    )
