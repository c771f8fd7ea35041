"""One dead letter: a rejected record, where it stood, and why it was rejected."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cached_property
from hashlib import sha256
from typing import Any, Final

import msgspec

# The code of a record in the dead-letter topic that no job wrote: nobody knows where it comes from.
FOREIGN: Final = "foreign"
UNKNOWN_CODE: Final = "unknown"
POSITION: Final = re.compile(r"(?P<topic>[A-Za-z0-9._-]+)-(?P<partition>\d{1,9})-(?P<offset>\d{1,18})")
_CODE: Final = re.compile(r"([a-z][a-z0-9_]{0,63}): ")
_TIME_US_MAX: Final = 253_402_300_799_000_000  # the end of the year 9999


def dead_letter_topic(dataset: str) -> str:
    """`instruments.dead-letter`."""
    return f"{dataset}.dead-letter"


class DeadLetter(msgspec.Struct, frozen=True, dict=True):
    """A rejected record.

    `topic`, `partition` and `offset` say where the record stood; a foreign record stands in the dead-letter topic only,
    so there it is its own place. `letter_partition` and `letter_offset` say where the letter stands. `time_us` is when
    it was written (microseconds since 1970). `key` is the record's Kafka key if it is known. `value` is the record.
    """

    topic: str
    partition: int
    offset: int
    letter_partition: int
    letter_offset: int
    time_us: int
    code: str
    reason: str
    key: bytes | None
    value: bytes

    @property
    def position(self) -> str:
        """`topic-partition-offset` of the record: its name."""
        return f"{self.topic}-{self.partition}-{self.offset}"

    @cached_property
    def identity(self) -> str:
        """The record itself: a second letter of it has the same, another record at its place (a new topic) has not."""
        return f"{self.position}#{sha256(self.value).hexdigest()[:16]}"

    @property
    def is_foreign(self) -> bool:
        return self.code == FOREIGN

    @property
    def time(self) -> datetime:
        """When it was written (UTC)."""
        return datetime.fromtimestamp(min(max(self.time_us, 0), _TIME_US_MAX) // 1_000_000, UTC)


def letter_of(message: Any) -> DeadLetter:
    """A message of the dead-letter topic → DeadLetter. Never fails: whatever has no reason is foreign."""
    headers = {name: value for name, value in message.headers() or () if value is not None}
    place = _place(headers, message.key())
    if "reason" not in headers or place is None:
        return _letter(
            message, _own_place(message), FOREIGN, "no job wrote this record: it has no reason", message.key()
        )
    reason = headers["reason"].decode(errors="replace")
    return _letter(message, place, _code(headers, reason), reason, headers.get("key"))


def _letter(message: Any, place: tuple[str, int, int], code: str, reason: str, key: bytes | None) -> DeadLetter:
    time_us = max(message.timestamp()[1], 0) * 1000
    at = message.partition(), message.offset()
    return DeadLetter(*place, *at, time_us, code, reason, key, message.value() or b"")


def _place(headers: Mapping[str, bytes], key: bytes | None) -> tuple[str, int, int] | None:
    """Where the record stood, by the headers or else by the letter's key."""
    parts = [headers.get(name, b"").decode(errors="replace") for name in ("topic", "partition", "offset")]
    found = POSITION.fullmatch("-".join(parts)) or POSITION.fullmatch((key or b"").decode(errors="replace"))
    return (found["topic"], int(found["partition"]), int(found["offset"])) if found else None


def _own_place(message: Any) -> tuple[str, int, int]:
    return message.topic(), message.partition(), message.offset()


def _code(headers: Mapping[str, bytes], reason: str) -> str:
    if code := headers.get("code"):
        return code.decode(errors="replace")
    found = _CODE.match(reason)
    return found[1] if found else UNKNOWN_CODE


class Peek(msgspec.Struct):
    """What can be told of a record without judging it."""

    op: Any = None
    version: Any = None
    record: Any = None


def peek(value: bytes) -> Peek:
    """The members of a JSON change record; empty for whatever is none."""
    try:
        return _decode_peek(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Peek()


_decode_peek = msgspec.json.Decoder(Peek).decode


def key_text(letter: DeadLetter, key_field: str) -> str | None:
    """The record's key: its Kafka key if it is known, else what its JSON says; None if neither tells."""
    if letter.key is not None:
        return letter.key.decode(errors="replace")
    record = peek(letter.value).record
    value = record.get(key_field) if isinstance(record, dict) else None
    return value if isinstance(value, str) else None
