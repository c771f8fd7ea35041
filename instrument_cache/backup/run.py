"""One whole run, as the DAG makes it task by task."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime

from instrument_cache.backup.export import Progress
from instrument_cache.backup.service import Backups
from instrument_cache.backup.summary import Steps
from instrument_cache.errors import InstrumentCacheError
from instrument_cache.reports import Report


def run_backup(
    backups: Backups,
    run_id: str,
    moment: datetime,
    accept_smaller: bool = False,
    progress: Progress = lambda what, done, total: None,
) -> Report:
    """Protect the last one, export, prove, mark, level the regions, remove what is old, report.

    Raises what a step raises, reported too.
    """
    steps = Steps()
    try:
        steps.protected = backups.protect()
        steps.exported = backups.export(run_id, moment, progress)
        steps.verified = backups.verify(
            steps.exported.name, _counted(lambda done: progress("compare", done, steps.exported_entries))
        )
        steps.marked = backups.mark_good(steps.verified, accept_smaller)
        steps.copied = backups.copy(run_id)
        steps.removed = backups.retain(run_id)
    except InstrumentCacheError:
        with suppress(InstrumentCacheError):
            backups.publish(run_id, moment, steps)
        raise
    return backups.publish(run_id, moment, steps)


def _counted(told: Callable[[int], None]) -> Callable[[int], None]:
    """Tells the sum so far of what it is told."""
    done = 0

    def add(entries: int) -> None:
        nonlocal done
        done += entries
        told(done)

    return add
