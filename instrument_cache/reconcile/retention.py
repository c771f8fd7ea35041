"""Removes plans of reconciliation that are over: what they found and did is in the reports, which stay."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import groupby

from instrument_cache.objects import ObjectStore
from instrument_cache.reconcile.plan import plans_prefix


def remove_plans(objects: ObjectStore, dataset: str, days: int, now: datetime, dry_run: bool = False) -> list[str]:
    """Remove the runs in which nothing was written for `days`; returns their folders. Raises ObjectStoreUnavailable."""
    old = list(_idle(objects, plans_prefix(dataset), now - timedelta(days=days)))
    for folder in () if dry_run else old:
        objects.erase(folder)
    return old


def _idle(objects: ObjectStore, prefix: str, before: datetime) -> Iterator[str]:
    def folder(found: tuple[str, datetime]) -> str:
        return prefix + found[0].removeprefix(prefix).partition("/")[0] + "/"

    for name, objects_of_run in groupby(objects.written(prefix), folder):
        if max(written for _, written in objects_of_run) < before:
            yield name
