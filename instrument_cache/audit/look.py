"""Reads what lies in the buckets, so that `verify` can judge it without asking anything more."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final

from instrument_cache.audit.entry import Names, number_in, sha256
from instrument_cache.backup.region import Region
from instrument_cache.errors import ObjectMissing, ObjectStoreUnavailable
from instrument_cache.objects import ObjectStore

_AT_ONCE: Final = 8
Progress = Callable[[int, int], None]


@dataclass
class RegionLook:
    """What one region holds. `documents`: report's name → SHA-256. `strangers`: objects that no link has as a name.

    `away`: why the region could not be read; then nothing else is known of it.
    """

    name: str
    entries: dict[int, bytes] = field(default_factory=dict)
    anchors: dict[int, bytes] = field(default_factory=dict)
    documents: dict[str, str] = field(default_factory=dict)
    strangers: list[str] = field(default_factory=list)
    away: str = ""


@dataclass
class Originals:
    """The reports where operations wrote them: name → bucket's place → SHA-256."""

    found: dict[str, dict[str, str]] = field(default_factory=dict)
    away: list[str] = field(default_factory=list)


def report_prefixes(dataset: str) -> tuple[str, ...]:
    """Under which names everything lies that is to be chained."""
    return (f"reports/{dataset}/", f"approvals/{dataset}/", f"audit/{dataset}/replay/")


def look_at(
    region: Region, names: Names, progress: Progress = lambda done, total: None, *, links_only: bool = False
) -> RegionLook:
    """Read a region whole, or all but the reports. A region that does not answer is told as `away`."""
    look = RegionLook(region.name)
    try:
        with ThreadPoolExecutor(_AT_ONCE, "audit") as pool:
            _read_links(region.objects, names.entries, look.entries, look.strangers, pool)
            _read_links(region.objects, names.anchors, look.anchors, look.strangers, pool)
            found = [] if links_only else list(region.objects.keys(names.documents))
            for done, (name, digest) in enumerate(_digests(region.objects, found, pool), 1):
                look.documents[name.removeprefix(names.documents)] = digest
                progress(done, len(found))
    except ObjectStoreUnavailable as error:
        return RegionLook(region.name, away=str(error))
    return look


def _read_links(
    objects: ObjectStore, folder: str, into: dict[int, bytes], strangers: list[str], pool: ThreadPoolExecutor
) -> None:
    numbers: list[int] = []
    for name in objects.keys(folder):
        number = number_in(name, folder)
        strangers.append(name) if number is None else numbers.append(number)
    names = [f"{folder}{number:012d}.json" for number in numbers]
    for number, body in zip(numbers, pool.map(lambda name: _get(objects, name), names), strict=True):
        if body is not None:
            into[number] = body


def look_at_originals(stores: Sequence[ObjectStore], dataset: str) -> Originals:
    """Read the reports where they were written. `stores`: one for each region."""
    originals = Originals()
    for objects in stores:
        try:
            names = [name for prefix in report_prefixes(dataset) for name in objects.keys(prefix)]
            with ThreadPoolExecutor(_AT_ONCE, "audit") as pool:
                for name, digest in _digests(objects, names, pool):
                    originals.found.setdefault(name, {})[objects.place] = digest
        except ObjectStoreUnavailable as error:
            originals.away.append(str(error))
    return originals


def _digests(objects: ObjectStore, names: Sequence[str], pool: ThreadPoolExecutor) -> Iterable[tuple[str, str]]:
    for name, body in zip(names, pool.map(lambda name: _get(objects, name), names), strict=True):
        if body is not None:
            yield name, sha256(body)


def _get(objects: ObjectStore, name: str) -> bytes | None:
    try:
        return objects.get(name)
    except ObjectMissing:
        return None  # removed since it was listed
