"""All backups as rows for people, those that may not be restored too, with the reason."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from instrument_cache.backup.catalog import BackupCatalog
from instrument_cache.backup.manifest import Manifest
from instrument_cache.backup.region import Region
from instrument_cache.errors import BackupRefused, ObjectStoreUnavailable


def rows(catalog: BackupCatalog) -> Iterator[dict[str, Any]]:
    """The newest first. `state` is `good`, or the sentence that says what is wrong; `regions`: who has a good copy."""
    answering = list(catalog.regions)
    for name in catalog.names():
        yield _row(catalog, name, answering)


def _row(catalog: BackupCatalog, name: str, answering: list[Region]) -> dict[str, Any]:
    """A region that does not answer is not asked again: each time would take its time-out."""
    regions: list[str] = []
    manifest: Manifest | None = None
    why = ""
    for region in list(answering):
        try:
            manifest = catalog.checked(region, name)
            regions.append(region.name)
        except BackupRefused as error:
            why = why or str(error)
        except ObjectStoreUnavailable as error:
            why = why or str(error)
            answering.remove(region)
    return {
        "name": name,
        "started_at": manifest.started_at if manifest else None,
        "finished_at": manifest.finished_at if manifest else None,
        "entries": manifest.entries if manifest else None,
        "bytes": manifest.bytes if manifest else None,
        "encrypted": manifest.encryption is not None if manifest else None,
        "regions": regions,
        "state": "good" if regions else why,
    }
