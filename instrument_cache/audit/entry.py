"""One link of the chain, and the names of its objects.

    audit/{dataset}/entries/{number}.json       the links, numbered from 1 without a gap, in the first region
    audit/{dataset}/anchors/{number}.json       in each region: the same link, signed
    audit/{dataset}/documents/{report's name}   in each region: the exact bytes of the report

All in the bucket of the audit trail, written once and locked.
"""

from __future__ import annotations

import hashlib
from typing import Final

import msgspec

FORMAT: Final = 1
# What the first link names as the one before it.
NO_ENTRY: Final = "0" * 64
_DIGITS: Final = 12


class Entry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Says that a report with exactly these bytes was chained. Times are ISO 8601 in UTC.

    `previous`: SHA-256 of the bytes of the entry before it. `report`: where the report was written first; `sha256` and
    `bytes` are those of its content. `late`: it was not chained when it was written, but found later.
    """

    format: int = FORMAT
    dataset: str
    number: int
    previous: str
    at: str
    kind: str
    report: str
    sha256: str
    bytes: int
    ok: bool
    sentence: str
    late: bool = False


def encoded(entry: Entry) -> bytes:
    """The bytes that are stored and hashed: JSON that people can read."""
    return msgspec.json.format(msgspec.json.encode(entry), indent=1)


def parsed(raw: bytes) -> Entry | None:
    """None for what is no entry, or is not spelled as one is."""
    try:
        entry = msgspec.json.decode(raw, type=Entry)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return entry if encoded(entry) == raw else None


def sha256(raw: bytes) -> str:
    """64 hexadecimal digits, as `sha256sum` prints them."""
    return hashlib.sha256(raw).hexdigest()


class Names:
    """The names of the objects of one dataset's chain."""

    def __init__(self, dataset: str) -> None:
        root = f"audit/{dataset}/"
        self.entries, self.anchors, self.documents = f"{root}entries/", f"{root}anchors/", f"{root}documents/"

    def entry(self, number: int) -> str:
        return f"{self.entries}{number:0{_DIGITS}d}.json"

    def anchor(self, number: int) -> str:
        return f"{self.anchors}{number:0{_DIGITS}d}.json"

    def document(self, report: str) -> str:
        return f"{self.documents}{report}"


def number_in(name: str, folder: str) -> int | None:
    """The number of an entry or anchor by its name; None for a name that no link has."""
    text = name.removeprefix(folder).removesuffix(".json")
    well_named = text.isdecimal() and text.isascii() and name == f"{folder}{int(text):0{_DIGITS}d}.json"
    return int(text) if well_named and int(text) else None
