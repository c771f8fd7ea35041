"""Puts a report on the chain: its bytes to every region, then its link, then the signed link to every region."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec
import structlog

from instrument_cache.audit.chain import Chain
from instrument_cache.audit.entry import Entry, Names, sha256
from instrument_cache.audit.fact import Fact
from instrument_cache.backup.region import Region
from instrument_cache.backup.signing import SigningKeys
from instrument_cache.clock import Clock, SystemClock
from instrument_cache.errors import ObjectMissing, ObjectStoreUnavailable
from instrument_cache.objects import ObjectLock, ObjectStore

ANCHOR: Final = b"icache audit anchor\n"
# Of the document: the chain's head before its first writer came, so that another try looks only behind it.
AFTER: Final = "after"
# How many earlier links a writer brings to a region that was away.
_FILL_MAX: Final = 100
logger = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class LockPolicy:
    """How long nobody may delete what was chained, and whether somebody may lift that (GOVERNANCE)."""

    mode: str
    days: int


class Trail:
    """The audit trail of one dataset. The first region holds the chain; each holds documents and anchors."""

    def __init__(
        self,
        regions: Sequence[Region],
        dataset: str,
        keys: SigningKeys,
        policy: LockPolicy,
        clock: Clock | None = None,
    ) -> None:
        self.regions, self.dataset, self.keys = list(regions), dataset, keys
        self._policy, self._clock = policy, clock or SystemClock()
        self.names = Names(dataset)
        self.first: ObjectStore = regions[0].objects
        self.chain = Chain(self.first, dataset, self._lock)

    def record(self, fact: Fact) -> Entry:
        """Chain a report; again is harmless. Its first bytes count.

        Raises ObjectStoreUnavailable if the first region is away, and then it is to be done again. A second region that
        is away gets what it lacks with a later report. Raises SettingsError without a signing key.
        """
        self.keys.check_signs()
        body, after = self._document(fact)
        wanted = Entry(
            dataset=self.dataset,
            number=0,
            previous="",
            at=self.now().isoformat(timespec="microseconds"),
            kind=fact.kind,
            report=fact.report,
            sha256=sha256(body),
            bytes=len(body),
            ok=fact.ok,
            sentence=fact.sentence,
            late=fact.late,
        )
        entry, raw = self.chain.append(wanted, after)
        self._anchor(entry, self.keys.sign(ANCHOR, raw), body)
        return entry

    def _document(self, fact: Fact) -> tuple[bytes, int]:
        """The bytes that count, and the number behind which their link is or will be."""
        name, head = self.names.document(fact.report), self.chain.head()
        if self.first.put_once(name, fact.body, {AFTER: str(head)}, self._lock()):
            return fact.body, head
        return self.first.get(name), min(head, int(self.first.metadata(name).get(AFTER, "0")))

    def _anchor(self, entry: Entry, signed: bytes, body: bytes) -> None:
        self.first.put_once(self.names.anchor(entry.number), signed, lock=self._lock())
        for region in self.regions[1:]:
            try:
                region.objects.put_once(self.names.document(entry.report), body, lock=self._lock())
                region.objects.put_once(self.names.anchor(entry.number), signed, lock=self._lock())
                self._fill(region.objects, entry.number)
            except ObjectStoreUnavailable as error:
                logger.error("anchor_waits", region=region.name, number=entry.number, error=str(error))

    def _fill(self, objects: ObjectStore, number: int) -> None:
        """Bring the links just before `number` that the region lacks. Only a signed link is believed."""
        for earlier in range(number - 1, max(0, number - 1 - _FILL_MAX), -1):
            if objects.size(self.names.anchor(earlier)) is not None:
                return
            self.copy_link(self.first, objects, earlier)

    def copy_link(self, source: ObjectStore, target: ObjectStore, number: int) -> bool:
        """Copy a signed link and its document from one region to another. False if the source has no such link.

        Raises BackupRefused if it is not signed by us.
        """
        try:
            signed = source.get(self.names.anchor(number))
            raw = self.keys.verified(ANCHOR, signed, f"the anchor {number}")
            document = self.names.document(msgspec.json.decode(raw, type=Entry).report)
            target.put_once(document, source.get(document), lock=self._lock())
        except ObjectMissing:
            return False
        target.put_once(self.names.anchor(number), signed, lock=self._lock())
        return True

    def now(self) -> datetime:
        return datetime.fromtimestamp(self._clock.now_us() / 1_000_000, UTC)

    def _lock(self) -> ObjectLock:
        return ObjectLock(self._policy.mode, self.now() + timedelta(days=self._policy.days))
