"""Where backups are kept: one bucket in each of two regions, which share neither server nor keys."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from instrument_cache.connections import s3_client
from instrument_cache.objects import ObjectStore
from instrument_cache.settings import Environment, S3Settings, s3_second_settings, s3_settings

# A region that hangs is given up soon: the other one has the backup too.
_SILENCE_S: Final = 10.0
_TRIES: Final = 3


@dataclass(frozen=True)
class Region:
    """A region's name, for people, and its objects."""

    name: str
    objects: ObjectStore


def region_settings(env: Environment) -> dict[str, S3Settings]:
    """Region's name → server and bucket of its backups: `first` and, if it is set, `second`. Raises SettingsError."""
    bucket = env.text("ICACHE_BACKUP_BUCKET", "instrument-cache-backup")
    found = {"first": s3_settings(env), "second": s3_second_settings(env)}
    return {name: replace(settings, bucket=bucket) for name, settings in found.items() if settings}


def regions(env: Environment) -> list[Region]:
    """The regions, the own one first. They connect on first use."""
    found = region_settings(env).items()
    return [
        Region(name, ObjectStore(place, s3_client(place, silence_s=_SILENCE_S, tries=_TRIES))) for name, place in found
    ]


def ensure_backup_buckets(env: Environment) -> None:
    """Make the bucket in each region, with Object Lock, if it is not there. Raises ObjectStoreUnavailable."""
    for region in regions(env):
        region.objects.make_bucket(object_lock=True)
