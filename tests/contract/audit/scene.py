"""A small audit trail over two regions, and what somebody with the root keys of both could do to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from instrument_cache.audit.entry import Entry, encoded, sha256
from instrument_cache.audit.fact import fact_of
from instrument_cache.audit.service import Audit
from instrument_cache.audit.trail import LockPolicy, Trail
from instrument_cache.backup.region import Region
from instrument_cache.backup.signing import SigningKeys
from instrument_cache.objects import ObjectStore
from instrument_cache.objects_memory import MemoryObjects
from instrument_cache.reports import Report, report_key
from instrument_cache.settings import Environment

KEY = b"k" * 32
ENTRIES = 6


@dataclass
class Scene:
    """`first` and `second`: the buckets of the trail; `reports`: where operations write."""

    first: ObjectStore
    second: ObjectStore
    reports: ObjectStore
    dataset: str

    @property
    def trail(self) -> Trail:
        """As a process of its own would have it."""
        regions = [Region("first", self.first), Region("second", self.second)]
        return Trail(regions, self.dataset, SigningKeys(KEY), LockPolicy("GOVERNANCE", 1))

    @property
    def audit(self) -> Audit:
        return Audit(Environment({}), self.trail, [self.reports])

    def write(self, number: int, **changed: Any) -> tuple[str, bytes]:
        """Write the report of a run as an operation does; returns its name and bytes."""
        report = self.report(number, **changed)
        name, body = report_key(report), msgspec.json.format(msgspec.json.encode(report), indent=1)
        self.reports.put_once(name, body)
        return name, body

    def report(self, number: int, **changed: Any) -> Report:
        now = self.trail.now().isoformat()
        at = f"{number} keys were repaired"
        report = Report(self.dataset, "reconcile", f"run-{number}", now, now, True, at, {"repaired": number})
        return msgspec.structs.replace(report, **changed)

    def chain(self, number: int) -> Entry:
        """Write a report and chain it."""
        return self.trail.record(fact_of(*self.write(number)))

    def fill(self, entries: int = ENTRIES) -> list[Entry]:
        return [self.chain(number) for number in range(1, entries + 1)]

    def entry(self, number: int) -> Entry:
        return msgspec.json.decode(self.first.get(self.trail.names.entry(number)), type=Entry)

    def document(self, number: int) -> str:
        """The name of a report's copy on the trail."""
        return self.trail.names.document(self.entry(number).report)

    def named(self) -> list[str]:
        """What `verify` names."""
        return [str(finding) for finding in self.audit.verify().findings]

    def put_entries(self, entries: Sequence[Entry]) -> None:
        """Write links over those that are there, each with the hash of the one before it."""
        before = sha256(self.first.get(self.trail.names.entry(entries[0].number - 1)))
        for entry in entries:
            raw = encoded(msgspec.structs.replace(entry, previous=before))
            self.first.put_over(self.trail.names.entry(entry.number), raw)
            before = sha256(raw)


def destroy(objects: ObjectStore, name: str) -> None:
    """Delete every version of one object, past its lock."""
    if isinstance(objects, MemoryObjects):
        del objects.bodies[name]
        objects.locks.pop(name, None)
        return
    client, bucket = objects._client, objects._settings.bucket
    listed = client.list_object_versions(Bucket=bucket, Prefix=name)
    for version in (*listed.get("Versions", ()), *listed.get("DeleteMarkers", ())):
        client.delete_object(Bucket=bucket, Key=name, VersionId=version["VersionId"], BypassGovernanceRetention=True)


def hide(objects: ObjectStore, name: str) -> None:
    """Delete an object so that its versions stay."""
    if isinstance(objects, MemoryObjects):
        destroy(objects, name)
    else:
        objects._client.delete_object(Bucket=objects._settings.bucket, Key=name)


def flipped(body: bytes, at: int = -5) -> bytes:
    """The same with one bit of one byte changed."""
    changed = bytearray(body)
    changed[at] ^= 1
    return bytes(changed)
