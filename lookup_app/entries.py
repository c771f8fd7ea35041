"""Stored bytes → an instrument to answer with, or the problem that says why there is none. Nothing is re-encoded."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple
from zlib import crc32

import msgspec

from instrument_cache.change import VERSION_AT, is_tombstone, version_of
from instrument_cache.contract import Field
from lookup_app.problems import VALUE_CHARACTERS_MAX, Problem, ProblemType

_HEAD: Final = b'{"v":'
_TAIL: Final = b"}"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Instrument(NamedTuple):
    """An instrument as it is stored: `body` is the answer, byte by byte.

    `stale_s` is None for an answer that is coherent with the store; else the store is away, and the answer is at most
    that many seconds old.
    """

    version: int
    body: bytes
    stale_s: float | None = None

    @property
    def etag(self) -> str:
        """Changes with every byte of the body; only two bodies of one version could share a checksum, by chance."""
        return f"{self.version}-{crc32(self.body):08x}"


class _Tombstone(msgspec.Struct):
    deleted_at_us: int = msgspec.field(name="~deleted_at")


_decode_tombstone = msgspec.json.Decoder(_Tombstone).decode


def instrument_of(name: str, stored: bytes | None, stale_s: float | None = None) -> Instrument:
    """The instrument in stored bytes. `name` is what was asked for. Raises Problem if there is none."""
    if stored is None:
        raise unknown(name, stale_s)
    if not _is_of_the_store(stored):
        raise unreadable(name)
    if is_tombstone(stored):
        raise _deleted(name, stored, stale_s)
    return Instrument(version_of(stored), stored, stale_s)


def unknown(name: str, stale_s: float | None = None) -> Problem:
    """404 for what was never known, or is known no more."""
    name = name[:VALUE_CHARACTERS_MAX]
    detail = f"No instrument is known as {name!r}."
    return Problem(ProblemType.UNKNOWN_INSTRUMENT, detail, {"value": name}, stale_s=stale_s)


def member_reader(field: Field) -> Callable[[str, bytes], str | None]:
    """A function (name asked for, stored bytes) → the text of one member, or None where it has none.

    It raises Problem for bytes that cannot be read.
    """
    members = msgspec.defstruct("Members", [("value", field.type | None, None)], rename={"value": field.name})
    decode: Callable[[bytes], Any] = msgspec.json.Decoder(members).decode

    def read(name: str, stored: bytes) -> str | None:
        try:
            value = decode(stored).value
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise unreadable(name) from None
        return None if value is None else str(value)

    return read


def unreadable(name: str) -> Problem:
    """503 for what somebody else wrote under a key of ours."""
    name = name[:VALUE_CHARACTERS_MAX]
    detail = f"What is stored for {name!r} is not an instrument. The next change of the instrument replaces it."
    return Problem(ProblemType.UNREADABLE_ENTRY, detail, {"value": name})


def _is_of_the_store(stored: bytes) -> bool:
    version = stored[VERSION_AT]
    return stored.startswith(_HEAD) and len(version) == 16 and version.isdigit() and stored.endswith(_TAIL)


def _deleted(name: str, stored: bytes, stale_s: float | None) -> Problem:
    try:
        deleted_at = (_EPOCH + timedelta(microseconds=_decode_tombstone(stored).deleted_at_us)).isoformat()
    except (msgspec.DecodeError, UnicodeDecodeError, OverflowError):
        raise unreadable(name) from None
    deleted_at = deleted_at.replace("+00:00", "Z")
    extra = {"value": name, "deleted_at": deleted_at, "version": version_of(stored)}
    detail = f"The instrument {name!r} was deleted at {deleted_at}."
    return Problem(ProblemType.DELETED_INSTRUMENT, detail, extra, stale_s=stale_s)
