"""All of a backup is checked before anything of it is written."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import structlog

from instrument_cache.backup.catalog import BackupCatalog
from instrument_cache.backup.cipher import Cipher
from instrument_cache.backup.manifest import Manifest
from instrument_cache.backup.reader import BackupReader
from instrument_cache.backup.region import Region
from instrument_cache.errors import BackupRefused, InstrumentCacheError, ObjectStoreUnavailable, RestoreRefused
from instrument_cache.restore.request import ANY_REGION, RestoreRequest
from instrument_cache.restore.scope import KeyFilter

logger = structlog.get_logger()
CheckProgress = Callable[[int], None]  # entries checked


def chosen(catalog: BackupCatalog, request: RestoreRequest) -> Manifest:
    """The backup that a request means. Raises BackupRefused, ObjectStoreUnavailable."""
    if request.backup:
        return catalog.named(request.backup)
    if request.moment:
        return catalog.as_of(request.moment)
    return catalog.newest_good()


def checked_reader(
    catalog: BackupCatalog,
    name: str,
    region: str,
    cipher: Cipher | None,
    wanted: KeyFilter,
    progress: CheckProgress = lambda entries: None,
) -> BackupReader:
    """A reader of the first copy whose every shard is as it was written, and whose keys are of this dataset.

    `region`: the copy to look at first. Raises BackupRefused or ObjectStoreUnavailable, of the first copy, if none is.
    """
    errors: list[InstrumentCacheError] = []
    for place, manifest in _in_order(catalog.copies(name), region):
        try:
            reader = BackupReader(place, manifest, cipher)
            _check(reader, wanted, progress)
            return reader
        except (BackupRefused, ObjectStoreUnavailable) as error:
            logger.warning("copy_not_used", backup=name, region=place.name, error=str(error))
            errors.append(error)
    raise errors[0]


def _in_order(copies: Sequence[tuple[Region, Manifest]], region: str) -> list[tuple[Region, Manifest]]:
    if region == ANY_REGION:
        return list(copies)
    return sorted(copies, key=lambda copy: copy[0].name != region)


def _check(reader: BackupReader, wanted: KeyFilter, progress: CheckProgress) -> None:
    found = 0
    for shard in reader.manifest.shards:
        for entry in reader.shard(shard):
            wanted.check(entry.key, entry.value)
        found += shard.entries
        progress(found)
    if found != reader.manifest.entries:
        raise BackupRefused("altered", f"the manifest counts {reader.manifest.entries} entries, its shards {found}")


def check_region(region: str, names: Sequence[str]) -> None:
    """Raises RestoreRefused for a region that is not set."""
    if region not in (ANY_REGION, *names):
        raise RestoreRefused(f"region is {region!r}; it must be {ANY_REGION} or one of {', '.join(names)}")
