"""The audit trail of one deployment, with everything that is asked of it. The CLI and the DAGs use this."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from functools import cached_property

import msgspec

from instrument_cache.audit.entry import Entry
from instrument_cache.audit.fact import fact_of
from instrument_cache.audit.look import Progress, look_at, look_at_originals, report_prefixes
from instrument_cache.audit.places import report_stores, trail_of
from instrument_cache.audit.trail import Trail
from instrument_cache.audit.truth import Truth, truth_of
from instrument_cache.audit.verify import Verified, verified
from instrument_cache.errors import AuditError, BackupRefused, ObjectMissing, ObjectStoreUnavailable
from instrument_cache.objects import ObjectStore
from instrument_cache.settings import Environment, environment


class Settled(msgspec.Struct):
    """What waited and was chained; links that a region got; regions that did not answer."""

    chained: list[str] = msgspec.field(default_factory=list)
    anchored: dict[str, int] = msgspec.field(default_factory=dict)
    missing: dict[str, str] = msgspec.field(default_factory=dict)

    @property
    def sentence(self) -> str:
        """One line for people."""
        missing = f"; {' and '.join(self.missing)} did not answer" if self.missing else ""
        return f"{len(self.chained)} reports chained, {sum(self.anchored.values())} links brought to a region{missing}"


def keep_reports_days(env: Environment) -> int:
    """How long a report stays where it was written. Raises SettingsError."""
    return env.integer("ICACHE_REPORTS_KEEP_DAYS", default=400, low=1, high=36500)


class Audit:
    """Connects on first use. Methods raise ObjectStoreUnavailable."""

    def __init__(
        self, env: Environment | None = None, trail: Trail | None = None, stores: Sequence[ObjectStore] | None = None
    ) -> None:
        """`trail` and `stores` (of the reports, by region) are those of the settings unless given."""
        self._env = env or environment()
        self.dataset = trail.dataset if trail else self._env.text("ICACHE_DATASET", "instruments")
        self._given, self._stores_given = trail, stores

    @cached_property
    def trail(self) -> Trail:
        return self._given or trail_of(self._env, self.dataset)

    @cached_property
    def stores(self) -> Sequence[ObjectStore]:
        return self._stores_given if self._stores_given is not None else report_stores(self._env)

    def verify(self, progress: Progress = lambda done, total: None) -> Verified:
        """Judge everything. What is wrong is looked at twice: a report may be on its way at the first look."""
        found = self._verify(progress)
        if found.ok:
            return found
        again = self._verify(progress)
        return msgspec.structs.replace(again, findings=[one for one in again.findings if one in set(found.findings)])

    def _verify(self, progress: Progress) -> Verified:
        # The reports first: what is chained meanwhile is then found on the chain.
        originals = look_at_originals(self.stores, self.dataset)
        looks = [look_at(region, self.trail.names, progress) for region in self.trail.regions]
        kept_from = self.trail.now() - timedelta(days=keep_reports_days(self._env))
        return verified(looks, originals, truth_of(looks, self.trail.keys), kept_from)

    def truth(self) -> Truth:
        """Every link as it was chained, whatever was altered since."""
        looks = [look_at(region, self.trail.names, links_only=True) for region in self.trail.regions]
        return truth_of(looks, self.trail.keys)

    def entries(
        self, kind: str | None = None, first: datetime | None = None, last: datetime | None = None
    ) -> list[Entry]:
        """The links of a kind and chained in [first, last), in order."""
        found = (link.entry for _, link in sorted(self.truth().links.items()))
        return [entry for entry in found if kind in (None, entry.kind) and _within(entry, first, last)]

    def entry(self, which: str) -> Entry:
        """By its number, or by the name of its report or the end of it. Raises AuditError."""
        entries = self.entries()
        number = int(which) if which.isdecimal() else 0
        found = [entry for entry in entries if entry.number == number or (not number and which in entry.report)]
        if len(found) != 1:
            held = f"it holds the numbers 1 to {len(entries)}" if entries else "it holds nothing"
            raise AuditError(f"{which!r} names {len(found)} entries of the audit trail; {held}: `icache audit list`")
        return found[0]

    def body(self, entry: Entry) -> bytes:
        """The exact bytes of its report, from the first region that has them. Raises AuditError."""
        for region in self.trail.regions:
            try:
                return region.objects.get(self.trail.names.document(entry.report))
            except ObjectMissing:
                continue
        raise AuditError(f"the report of entry {entry.number}, {entry.report}, is gone: `icache audit verify`")

    def settle(self) -> Settled:
        """Chain the reports that wait, the oldest first, and bring each region the links that it lacks."""
        done = Settled()
        chained = {link.entry.report for link in self.truth().links.values() if link.is_signed}
        for objects in self.stores:
            try:
                for name in sorted(self._waiting(objects, chained), key=_by_day):
                    self.trail.record(fact_of(name, objects.get(name), late=True))
                    chained.add(name)
                    done.chained.append(name)
            except ObjectStoreUnavailable as error:
                done.missing[objects.place] = str(error)
        self._level(done)
        return done

    def _waiting(self, objects: ObjectStore, chained: set[str]) -> Iterator[str]:
        for prefix in report_prefixes(self.dataset):
            yield from (name for name in objects.keys(prefix) if name not in chained)

    def _level(self, done: Settled) -> None:
        """Each region gets the signed links of the others."""
        regions, names = self.trail.regions, self.trail.names
        for region in regions:
            for source in regions:
                if source is not region:
                    try:
                        lacking = set(source.objects.keys(names.anchors)) - set(region.objects.keys(names.anchors))
                        copied = self._copy(sorted(lacking), source.objects, region.objects)
                        done.anchored[region.name] = done.anchored.get(region.name, 0) + copied
                    except ObjectStoreUnavailable as error:
                        done.missing.setdefault(region.name, str(error))

    def _copy(self, anchors: Sequence[str], source: ObjectStore, target: ObjectStore) -> int:
        count = 0
        for name in anchors:
            number = name.rpartition("/")[2].removesuffix(".json")
            try:
                count += number.isdecimal() and self.trail.copy_link(source, target, int(number))
            except BackupRefused:
                continue  # it is not ours: `verify` names it
        return count


def _by_day(name: str) -> tuple[str, str]:
    """Reports by the day in their name, then by name."""
    return next((part for part in name.split("/") if part[:2] == "20" and part[4:5] == "-"), ""), name


def _within(entry: Entry, first: datetime | None, last: datetime | None) -> bool:
    at = datetime.fromisoformat(entry.at)
    return (first is None or at >= first) and (last is None or at < last)
