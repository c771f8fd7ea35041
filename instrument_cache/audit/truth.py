"""Finds what each link was, from its copies: a link is right if the link behind it names its hash.

A signed copy is believed before an unsigned one, so that who holds the keys of S3 alone can show nothing as true.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from instrument_cache.audit.entry import Entry, parsed, sha256
from instrument_cache.audit.look import RegionLook
from instrument_cache.audit.trail import ANCHOR
from instrument_cache.backup.signing import SigningKeys
from instrument_cache.errors import BackupRefused


@dataclass(frozen=True, slots=True)
class Link:
    """A link as it was chained: its bytes, what they say, and whether a signature says so."""

    raw: bytes
    entry: Entry
    is_signed: bool


@dataclass
class Truth:
    """`links`: number → the link. `signed`: region's name → number → the bytes that its anchor vouches for.

    `head`: the greatest number that a signature vouches for.
    """

    links: dict[int, Link] = field(default_factory=dict)
    signed: dict[str, dict[int, bytes]] = field(default_factory=dict)
    head: int = 0


def truth_of(looks: Sequence[RegionLook], keys: SigningKeys) -> Truth:
    """From everything that was read; the first look is that of the region with the chain."""
    signed = {look.name: _signed(look, keys) for look in looks}
    head = max((number for found in signed.values() for number in found), default=0)
    truth = Truth(signed=signed, head=head)
    expected = ""
    for number in range(max(head, *looks[0].entries, 0), 0, -1):
        copies = [found[number] for found in signed.values() if number in found]
        link = _chosen(copies, looks[0].entries.get(number), expected)
        if link:
            truth.links[number] = link
        expected = link.entry.previous if link else ""
    return truth


def _signed(look: RegionLook, keys: SigningKeys) -> dict[int, bytes]:
    """The anchors that are signed, and stand where they belong."""
    found: dict[int, bytes] = {}
    for number, body in look.anchors.items():
        try:
            raw = keys.verified(ANCHOR, body, f"the anchor {number}")
        except BackupRefused:
            continue
        if (entry := parsed(raw)) and entry.number == number:
            found[number] = raw
    return found


def _chosen(copies: Sequence[bytes], entry: bytes | None, expected: str) -> Link | None:
    """A signed copy, that which the link behind it names if they differ; else the entry itself."""
    named = [raw for raw in copies if sha256(raw) == expected]
    raw = next(iter([*named, *copies]), entry)
    found = parsed(raw) if raw is not None else None
    return Link(raw, found, bool(copies)) if raw is not None and found else None


def by_digest(links: Mapping[int, Link]) -> dict[str, Entry]:
    """SHA-256 of a report → its link."""
    return {link.entry.sha256: link.entry for link in links.values()}
