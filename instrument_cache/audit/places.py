"""Where the audit trail of a deployment lies: one bucket in each region, made with Object Lock."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from instrument_cache.audit.trail import LockPolicy, Trail
from instrument_cache.backup.region import Region
from instrument_cache.backup.signing import signing_keys
from instrument_cache.connections import s3_client
from instrument_cache.errors import SettingsError
from instrument_cache.objects import ObjectStore
from instrument_cache.settings import Environment, s3_second_settings, s3_settings

_MODES: Final = ("GOVERNANCE", "COMPLIANCE")
# A report waits for a region no longer than that; what it lacks comes later.
_SILENCE_S: Final = 10.0
_TRIES: Final = 2


def audit_regions(env: Environment) -> list[Region]:
    """The own region first. They connect on first use. Raises SettingsError."""
    bucket = env.text("ICACHE_AUDIT_BUCKET", "instrument-cache-audit")
    found = {"first": s3_settings(env), "second": s3_second_settings(env)}
    places = {name: replace(settings, bucket=bucket) for name, settings in found.items() if settings}
    return [
        Region(name, ObjectStore(place, s3_client(place, silence_s=_SILENCE_S, tries=_TRIES)))
        for name, place in places.items()
    ]


def report_stores(env: Environment) -> list[ObjectStore]:
    """Where operations write their reports, in each region."""
    return [ObjectStore(settings) for settings in (s3_settings(env), s3_second_settings(env)) if settings]


def ensure_audit_buckets(env: Environment) -> None:
    """Make the bucket in each region, with Object Lock, if it is not there. Raises ObjectStoreUnavailable."""
    for region in audit_regions(env):
        region.objects.make_bucket(object_lock=True)


def trail_of(env: Environment, dataset: str) -> Trail:
    """Raises SettingsError."""
    return Trail(audit_regions(env), dataset, signing_keys(env), lock_policy(env))


def lock_policy(env: Environment) -> LockPolicy:
    """Raises SettingsError."""
    mode = env.text("ICACHE_AUDIT_LOCK_MODE", "GOVERNANCE")
    if mode not in _MODES:
        raise SettingsError(f"ICACHE_AUDIT_LOCK_MODE is {mode!r}; it must be one of {', '.join(_MODES)}")
    return LockPolicy(mode, env.integer("ICACHE_AUDIT_LOCK_DAYS", default=2557, low=1, high=36500))
