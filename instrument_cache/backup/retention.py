"""Which backups are removed, by age and count. The newest good one is never among them, and a lock is never broken."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import msgspec

from instrument_cache.backup.manifest import data_prefix, good_key, manifest_key, name_in, name_time, prefix
from instrument_cache.backup.region import Region
from instrument_cache.errors import ObjectStoreUnavailable
from instrument_cache.objects import ObjectLock


@dataclass(frozen=True, slots=True)
class Policy:
    """Good backups beyond the newest `count`, or older than `days`, are removed. What never became good goes after
    `unfinished_h`, once a newer good one is there."""

    count: int
    days: int
    unfinished_h: int = 24

    def removable(self, good: Sequence[str], others: Sequence[str], now: datetime) -> list[str]:
        """The names to remove, the oldest first. `good`: the newest first."""
        kept = {name for name in good[: self.count] if now - name_time(name) <= timedelta(days=self.days)} | {*good[:1]}
        newest = good[0] if good else ""
        left = [name for name in others if name < newest and now - name_time(name) > timedelta(hours=self.unfinished_h)]
        return sorted([*(set(good) - kept), *left])


class Removed(msgspec.Struct):
    """What was removed in each region, and how many names a lock kept there. `missing`: regions that did not answer."""

    removed: dict[str, list[str]] = msgspec.field(default_factory=dict)
    locked: dict[str, int] = msgspec.field(default_factory=dict)
    missing: dict[str, str] = msgspec.field(default_factory=dict)


def apply_policy(
    regions: Sequence[Region],
    dataset: str,
    policy: Policy,
    now: datetime,
    is_good: Callable[[Region, str], bool],
    dry_run: bool = False,
) -> Removed:
    """Remove in each region by itself what the policy does not keep there: each keeps a good one of its own.

    `is_good` looks into a backup: a mark alone does not protect the last one that can be restored.
    """
    done = Removed()
    for region in regions:
        try:
            names = list(_removable(region, dataset, policy, now, is_good))
            kept = [] if dry_run else [name for name in names if not remove(region, dataset, name)]
        except ObjectStoreUnavailable as error:
            done.missing[region.name] = str(error)
            continue
        done.removed[region.name] = [name for name in names if name not in kept]
        done.locked[region.name] = len(kept)
    return done


class Protected(msgspec.Struct):
    """Until when each region's newest good backup is locked now (ISO 8601). `missing`: regions that did not answer."""

    until: dict[str, str] = msgspec.field(default_factory=dict)
    missing: dict[str, str] = msgspec.field(default_factory=dict)


def protect_newest(
    regions: Sequence[Region],
    dataset: str,
    lock: ObjectLock,
    now: datetime,
    is_good: Callable[[Region, str], bool],
) -> Protected:
    """Lengthen the lock of the newest good backup of each region, once half of the time of `lock` is over.

    Without that, backups that fail for longer than a lock lasts would leave the last good one to whoever can delete.
    """
    done = Protected()
    for region in regions:
        try:
            if name := _newest_good(region, dataset, is_good):
                done.until[region.name] = _protect(region, dataset, name, lock, now).isoformat(timespec="seconds")
        except ObjectStoreUnavailable as error:
            done.missing[region.name] = str(error)
    return done


def _protect(region: Region, dataset: str, name: str, lock: ObjectLock, now: datetime) -> datetime:
    mark = good_key(dataset, name)
    held = region.objects.locked_until(mark)
    if held and held - now > (lock.until - now) / 2:
        return held
    # The mark last: while it is locked for long, all else is.
    for key in (*region.objects.keys(data_prefix(dataset, name)), manifest_key(dataset, name), mark):
        region.objects.lock(key, lock)
    return lock.until


def _newest_good(region: Region, dataset: str, is_good: Callable[[Region, str], bool]) -> str | None:
    marked = sorted(_names(region, f"{prefix(dataset)}good/"), reverse=True)
    return next((name for name in marked if is_good(region, name)), None)


def _removable(
    region: Region, dataset: str, policy: Policy, now: datetime, is_good: Callable[[Region, str], bool]
) -> Iterator[str]:
    marked = sorted(_names(region, f"{prefix(dataset)}good/"), reverse=True)
    everything = _names(region, f"{prefix(dataset)}manifests/") | _names(region, f"{prefix(dataset)}data/")
    newest = next((at for at, name in enumerate(marked) if is_good(region, name)), None)
    if newest is None:
        return  # nothing here can be restored: what there is may still be mended
    good = marked[newest:]
    yield from policy.removable(good, sorted(everything - set(marked)), now)


def _names(region: Region, under: str) -> set[str]:
    return {name for key in region.objects.keys(under) if (name := name_in(key))}


def remove(region: Region, dataset: str, name: str) -> bool:
    """Remove a backup from a region, its mark first: so it is never offered by halves. False if a lock kept some of it.

    Raises ObjectStoreUnavailable; then call it again.
    """
    for key in (good_key(dataset, name), manifest_key(dataset, name), data_prefix(dataset, name)):
        if region.objects.erase(key):
            return False
    return True
