"""The rules: each yields what has aged out of one kind of thing. Nothing is removed here."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Collection, Iterator
from contextlib import suppress
from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import Final

from instrument_cache.dead_letters.archive_objects import parse_key, prefix
from instrument_cache.objects import ObjectStore
from instrument_cache.retention.job_state import JobState
from instrument_cache.retention.model import Item, Kind

_RELEASE_FOLDERS: Final = "icache-release-*"
_SCRATCH_S: Final = 86_400


def old_reports(objects: ObjectStore, dataset: str, before: datetime) -> Iterator[str]:
    """Reports and answers to questions that were written before. The records of replays are needed by the next one."""
    for folder in (f"reports/{dataset}/", f"approvals/{dataset}/"):
        yield from (name for name, written in objects.written(folder) if written < before)


def chained_reports(names: Collection[str], chained: Collection[str]) -> Iterator[Item]:
    """Of those, what the audit trail holds."""
    for name in names:
        if name in chained:
            yield Item(Kind.REPORT, name, "older than ICACHE_REPORTS_KEEP_DAYS; the audit trail has it")


def data_docs(objects: ObjectStore, dataset: str, before: datetime) -> Iterator[Item]:
    """Runs of the quality check in which nothing was written since; those of the newest good profiles stay."""
    good = _newest_good(objects, dataset)
    for folder in _idle(objects, f"quality/{dataset}/runs/", before):
        run = folder.rstrip("/").rpartition("/")[2]
        if not any(profile.endswith(f"-{run}.json") for profile in good):
            yield Item(Kind.DATA_DOCS, folder, "older than ICACHE_QUALITY_KEEP_DAYS")


def good_profiles(objects: ObjectStore, dataset: str, before: datetime) -> Iterator[Item]:
    """Profiles that were written before. The newest one of each input stays: the next run is measured against it."""
    good = _newest_good(objects, dataset)
    for name, written in objects.written(f"quality/{dataset}/good/"):
        if written < before and name not in good:
            yield Item(Kind.PROFILE, name, "older than ICACHE_QUALITY_KEEP_DAYS")


def _newest_good(objects: ObjectStore, dataset: str) -> set[str]:
    """The newest profile of each input, whatever its age. Their names begin with their time."""
    names = sorted(objects.keys(f"quality/{dataset}/good/"))
    return set({name.rpartition("/")[0]: name for name in names}.values())


def archives(objects: ObjectStore, dataset: str, before: datetime) -> Iterator[Item]:
    """Dead letters of an hour before. The newest object of each partition stays: it says how far the archive is."""
    found = sorted(place for key in objects.keys(prefix(dataset)) if (place := parse_key(key, dataset)))
    newest = {(place.topic_id, place.partition): place for place in sorted(found, key=lambda place: place.start)}
    for place in found:
        if place.span_us[1] < before.timestamp() * 1e6 and place not in newest.values():
            yield Item(Kind.ARCHIVE, place.key(dataset), "older than ICACHE_ARCHIVE_KEEP_DAYS")


def releases(objects: ObjectStore, dataset: str, state: JobState, before: datetime) -> Iterator[Item]:
    """Releases that neither run, nor are wanted, nor would be rolled back to, and were published before."""
    kept = state.kept_releases(before)
    for folder in _idle(objects, f"releases/{dataset}/", before):
        if folder.rstrip("/").rpartition("/")[2] not in kept:
            yield Item(Kind.RELEASE, folder, "replaced longer ago than ICACHE_RELEASES_KEEP_DAYS")


def job_states(objects: ObjectStore, dataset: str, state: JobState, before: datetime) -> Iterator[Item]:
    """Savepoints and checkpoints of runs that ended before and from whose state nothing that is wanted began."""
    kept = state.kept_generations(before)
    for root in (f"savepoints/{dataset}/", f"checkpoints/{dataset}/"):
        for folder in _idle(objects, root, before):
            generation = folder.rstrip("/").rpartition("/")[2]
            if generation.isdecimal() and int(generation) not in kept and int(generation) < state.current.generation:
                yield Item(Kind.STATE, folder, "its run ended longer ago than ICACHE_RELEASES_KEEP_DAYS")


def scratch_folders(root: Path | None = None, now_s: float | None = None) -> Iterator[Item]:
    """Empty folders on this machine that a killed submission of the job left, a day old."""
    now = time.time() if now_s is None else now_s
    for folder in sorted((root or Path(tempfile.gettempdir())).glob(_RELEASE_FOLDERS)):
        with suppress(OSError):  # another one may remove it meanwhile
            if folder.is_dir() and not any(folder.iterdir()) and now - folder.stat().st_mtime > _SCRATCH_S:
                yield Item(Kind.SCRATCH, str(folder), "empty for a day")


def _idle(objects: ObjectStore, root: str, before: datetime) -> Iterator[str]:
    """The folders just below, in which nothing was written since."""

    def folder(found: tuple[str, datetime]) -> str:
        return root + found[0].removeprefix(root).partition("/")[0] + "/"

    for name, below in groupby(objects.written(root), folder):
        if max(written for _, written in below) < before:
            yield name
