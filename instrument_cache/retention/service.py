"""Retention of one deployment: planned, carried out, reported. The DAG `retention` calls this."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Final

import msgspec

from instrument_cache.audit.places import trail_of
from instrument_cache.audit.service import keep_reports_days
from instrument_cache.connections import redis_client
from instrument_cache.objects import ObjectStore
from instrument_cache.reports import Report, publish
from instrument_cache.retention import rules
from instrument_cache.retention.job_state import job_state
from instrument_cache.retention.model import Item, Kind, Removed, counts_of
from instrument_cache.settings import Environment, environment, redis_url, s3_settings

OPERATION: Final = "retention"
# What a run does not reach, the next one does.
ITEMS_MAX: Final = 20_000
_NAMED_MAX: Final = 500


class Retention:
    """Connects on first use. Methods raise ObjectStoreUnavailable; all can be done again."""

    def __init__(self, env: Environment | None = None, now: datetime | None = None) -> None:
        """Raises SettingsError."""
        self._env, self._now = env or environment(), now or datetime.now(UTC)
        self.dataset = self._env.text("ICACHE_DATASET", "instruments")

    @cached_property
    def objects(self) -> ObjectStore:
        return ObjectStore(s3_settings(self._env))

    def plan(self) -> Removed:
        """What has aged out; nothing is removed."""
        old = list(rules.old_reports(self.objects, self.dataset, self._before(keep_reports_days(self._env))))
        chained = self._chained() if old else set()
        items = [*rules.chained_reports(old, chained), *self._others()]
        return Removed(True, items[:ITEMS_MAX], [], len(set(old) - chained))

    def _others(self) -> Iterator[Item]:
        # No less than an address of a page is valid for.
        quality_days = self._env.integer("ICACHE_QUALITY_KEEP_DAYS", default=90, low=7, high=36500)
        yield from rules.data_docs(self.objects, self.dataset, self._before(quality_days))
        yield from rules.good_profiles(self.objects, self.dataset, self._before(quality_days))
        archive_days = self._env.integer("ICACHE_ARCHIVE_KEEP_DAYS", default=1095, low=100, high=36500)
        yield from rules.archives(self.objects, self.dataset, self._before(archive_days))
        if state := job_state(self.objects, self.dataset):
            days = self._env.integer("ICACHE_RELEASES_KEEP_DAYS", default=90, low=1, high=36500)
            yield from rules.releases(self.objects, self.dataset, state, self._before(days))
            yield from rules.job_states(self.objects, self.dataset, state, self._before(days))
        yield from rules.scratch_folders()

    def _chained(self) -> set[str]:
        """The reports of which every region of the audit trail has a copy."""
        trail = trail_of(self._env, self.dataset)
        folder = trail.names.documents
        held = [{name.removeprefix(folder) for name in region.objects.keys(folder)} for region in trail.regions]
        return set.intersection(*held)

    def remove(self, dry_run: bool = False) -> Removed:
        """Remove what has aged out now."""
        planned = self.plan()
        if dry_run:
            return planned
        locked = [item.name for item in planned.items if not self._remove(item)]
        return Removed(False, planned.items, locked, planned.waiting)

    def _remove(self, item: Item) -> bool:
        """False if a lock kept some of it."""
        if item.kind is Kind.SCRATCH:
            with suppress(OSError):  # no longer empty, or gone
                Path(item.name).rmdir()
            return True
        return not self.objects.erase(item.name)

    def publish(self, run_id: str, started_at: str, done: Removed) -> Report:
        """Publish the report; of one run there is one. Raises StoreUnavailable too."""
        report = Report(
            dataset=self.dataset,
            operation=OPERATION,
            run_id=run_id,
            started_at=started_at,
            finished_at=datetime.now(UTC).isoformat(timespec="seconds"),
            ok=True,
            sentence=done.sentence,
            numbers={kind: float(counts_of(done.items).get(kind, 0)) for kind in Kind}
            | {"locked": float(len(done.locked)), "waiting": float(done.waiting)},
            details={
                "dry_run": done.dry_run,
                "items": msgspec.to_builtins(done.items[:_NAMED_MAX]),
                "locked": done.locked[:_NAMED_MAX],
            },
        )
        publish(self.objects, redis_client(redis_url(self._env), name="retention"), report)
        return report

    def _before(self, days: int) -> datetime:
        return self._now - timedelta(days=days)
