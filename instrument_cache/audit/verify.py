"""Judges the audit trail: every entry, anchor and report that was changed, removed, inserted or moved is named."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Final

import msgspec

from instrument_cache.audit.entry import NO_ENTRY, Entry, parsed, sha256
from instrument_cache.audit.look import Originals, RegionLook
from instrument_cache.audit.truth import Link, Truth, by_digest

_DAY: Final = re.compile(r"/(\d{4}-\d\d-\d\d)/")


class Finding(msgspec.Struct, frozen=True):
    """Something that is not as it was chained. `what` names it, `problem` says how, in one sentence each."""

    what: str
    problem: str

    def __str__(self) -> str:
        return f"{self.what}: {self.problem}"


class Verified(msgspec.Struct, frozen=True):
    """What was looked at, and what is wrong. `head`: SHA-256 of the newest link. `late`: links made after the fact."""

    entries: int
    reports: int
    head: str
    newest_at: str
    late: int
    regions: list[str]
    findings: list[Finding]

    @property
    def ok(self) -> bool:
        return not self.findings

    @property
    def sentence(self) -> str:
        """One line for people."""
        looked = f"{self.entries} entries and their reports in {' and '.join(self.regions)}"
        if self.ok:
            return f"{looked}: each is what was chained"
        return f"{looked}: {len(self.findings)} are not as they were chained; the first: {self.findings[0]}"


def verified(looks: Sequence[RegionLook], originals: Originals, truth: Truth, kept_from: datetime) -> Verified:
    """`kept_from`: a report older than that may be gone where it was written; its copy on the trail may not."""
    links = truth.links
    newest = links[max(links)] if links else None
    return Verified(
        entries=len(links),
        reports=len({link.entry.report for link in links.values()}),
        head=sha256(newest.raw) if newest else NO_ENTRY,
        newest_at=newest.entry.at if newest else "",
        late=sum(link.entry.late for link in links.values()),
        regions=[look.name for look in looks if not look.away],
        findings=list(_findings(looks, originals, truth, kept_from)),
    )


def _findings(
    looks: Sequence[RegionLook], originals: Originals, truth: Truth, kept_from: datetime
) -> Iterator[Finding]:
    for look in looks:
        if look.away:
            yield Finding(f"region {look.name}", f"could not be read, so nothing is proved there: {look.away}")
        for name in look.strangers:
            yield Finding(f"{name} in region {look.name}", "was inserted: no link has such a name")
    for away in originals.away:
        yield Finding("reports", f"could not be compared where they were written: {away}")
    if not looks[0].away:
        yield from _entries(looks[0], truth)
    yield from _order(truth)
    for look in (look for look in looks if not look.away):
        yield from _anchors(look, truth)
        yield from _documents(look, truth)
    if not originals.away:
        yield from _originals(originals, truth, kept_from)


def _entries(look: RegionLook, truth: Truth) -> Iterator[Finding]:
    places = {link.raw: number for number, link in truth.links.items()}
    for number in range(1, truth.head + 1):
        held, link = look.entries.get(number), truth.links.get(number)
        name = _named(number, link)
        if held is None:
            yield Finding(name, "was removed" if link else "was removed, and so was every anchor of it")
        elif link is None:
            yield Finding(name, "was changed: it is no entry, and no anchor of it is left")
        elif held != link.raw:
            yield Finding(name, _difference(held, link, places))
    for number in sorted(look.entries):
        if number > truth.head:
            yield Finding(_named(number, truth.links.get(number)), "was inserted: no signature vouches for it")


def _difference(held: bytes, link: Link, places: dict[bytes, int]) -> str:
    if held in places:
        return f"was moved: entry {places[held]} stands in its place"
    if (found := parsed(held)) is None:
        return "was changed: it is no entry any more"
    fields = [name for name in Entry.__struct_fields__ if getattr(found, name) != getattr(link.entry, name)]
    return f"was changed: {', '.join(fields)} {'is' if len(fields) == 1 else 'are'} not as signed"


def _order(truth: Truth) -> Iterator[Finding]:
    seen: dict[str, int] = {}
    for number, link in sorted(truth.links.items()):
        before = truth.links.get(number - 1)
        wanted = sha256(before.raw) if before else NO_ENTRY
        if (before or number == 1) and link.entry.previous != wanted:
            yield Finding(_named(number, link), f"does not follow entry {number - 1}: the chain was put together anew")
        if not link.is_signed and number <= truth.head:
            yield Finding(_named(number, link), "was inserted: no signature vouches for it")
        if (first := seen.setdefault(link.entry.report, number)) != number:
            yield Finding(_named(number, link), f"was inserted: entry {first} holds this report already")


def _anchors(look: RegionLook, truth: Truth) -> Iterator[Finding]:
    sound = truth.signed[look.name]
    for number in range(1, truth.head + 1):
        name = f"anchor {number} in region {look.name}"
        if number not in look.anchors:
            yield Finding(name, "was removed, or never arrived; `icache audit settle` brings it from the other region")
        elif number not in sound:
            yield Finding(name, "was changed: it does not carry our signature of entry " + str(number))
        elif sound[number] != truth.links[number].raw:
            yield Finding(name, "was signed for another chain than that which goes on")
    for number in sorted(look.anchors):
        if number > truth.head:
            yield Finding(f"anchor {number} in region {look.name}", "was inserted: it does not carry our signature")


def _documents(look: RegionLook, truth: Truth) -> Iterator[Finding]:
    others = by_digest(truth.links)
    left = dict(look.documents)
    for number, link in sorted(truth.links.items()):
        held, name = left.pop(link.entry.report, None), f"report {link.entry.report} in region {look.name}"
        if look.documents.get(link.entry.report) == link.entry.sha256:
            continue
        if held is None:
            if link.entry.report not in look.documents:
                yield Finding(name, f"was removed; entry {number} knows its hash")
        elif held in others:
            yield Finding(name, f"was moved: the bytes of {others[held].report} stand in its place")
        else:
            yield Finding(name, f"was changed: its hash is not that of entry {number}")
    for report in left:
        yield Finding(f"report {report} in region {look.name}", "was inserted: no entry names it")


def _originals(originals: Originals, truth: Truth, kept_from: datetime) -> Iterator[Finding]:
    entries = {link.entry.report: link.entry for link in truth.links.values()}
    for report, places in sorted(originals.found.items()):
        entry = entries.get(report)
        for place, digest in places.items():
            if entry is None:
                yield Finding(
                    f"report {report}",
                    f"is in no entry of the chain ({place}): it was written while the chain was away, and "
                    "`icache audit settle` chains it; or it was inserted",
                )
            elif digest != entry.sha256:
                yield Finding(f"report {report}", f"was changed where it was written ({place}); the trail has it right")
    for report, entry in sorted(entries.items()):
        if report not in originals.found and not _may_be_gone(entry, kept_from):
            yield Finding(f"report {report}", "was removed where it was written; the trail has it")


def _may_be_gone(entry: Entry, kept_from: datetime) -> bool:
    """Retention removes old reports by the day in their name; it never removes the records of replays."""
    day = _DAY.search(entry.report)
    return day is not None and datetime.fromisoformat(day[1]).replace(tzinfo=UTC) < kept_from


def _named(number: int, link: Link | None) -> str:
    return f"entry {number} ({link.entry.report})" if link else f"entry {number}"
