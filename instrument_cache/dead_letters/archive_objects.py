"""What one object of the archive is: its name, and its body of gzipped NDJSON.

    dead-letters/{dataset}/{date}/{hour}/{id of the topic}-{partition}-{offset of the first letter}.ndjson.gz

The name follows from the first letter alone. So whoever goes on from the same place writes to the same name, and S3
lets one of them win; how far the object reaches stands in its metadata (`next`: the offset after its last letter).
"""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import Final

import msgspec

from instrument_cache.dead_letters.letter import DeadLetter
from instrument_cache.errors import DeadLetterError

NEXT: Final = "next"
# One object holds at most so much, so that one of 10 MB letters still fits into memory.
OBJECT_LETTERS_MAX: Final = 20_000
OBJECT_BYTES_MAX: Final = 64_000_000
_NAME: Final = re.compile(
    r"(?P<date>\d{4}-\d\d-\d\d)/(?P<hour>\d\d)/(?P<topic>[0-9a-f]{32})-(?P<partition>\d+)-(?P<start>\d+)\.ndjson\.gz"
)
_HOUR_US: Final = 3_600_000_000
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(DeadLetter).decode


@dataclass(frozen=True, slots=True, order=True)
class ArchiveObject:
    """One object: which incarnation of the topic, which partition, the first letter's offset and its hour (UTC)."""

    hour: str
    topic_id: str
    partition: int
    start: int

    def key(self, dataset: str) -> str:
        """Its name in S3."""
        name = f"{self.topic_id}-{self.partition:04d}-{self.start:018d}.ndjson.gz"
        return f"{prefix(dataset)}{self.hour.replace('T', '/')}/{name}"

    @property
    def span_us(self) -> tuple[int, int]:
        """The first and the last microsecond of its hour."""
        start = datetime.strptime(self.hour, "%Y-%m-%dT%H").replace(tzinfo=UTC)
        first_us = (start - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
        return first_us, first_us + _HOUR_US - 1


def prefix(dataset: str) -> str:
    """Where the archive of a dataset lies."""
    return f"dead-letters/{dataset}/"


def object_of(letters: Sequence[DeadLetter], topic_id: str) -> ArchiveObject:
    """The object that such letters go to."""
    first = letters[0]
    return ArchiveObject(hour_of(first), topic_id, first.letter_partition, first.letter_offset)


def parse_key(key: str, dataset: str) -> ArchiveObject | None:
    """A name in S3 → its object; None for what the archive did not write."""
    found = _NAME.fullmatch(key.removeprefix(prefix(dataset)))
    if found is None:
        return None
    return ArchiveObject(
        f"{found['date']}T{found['hour']}", found["topic"], int(found["partition"]), int(found["start"])
    )


def hour_of(letter: DeadLetter) -> str:
    """`2025-11-21T18`."""
    return letter.time.strftime("%Y-%m-%dT%H")


def pack(letters: Sequence[DeadLetter]) -> bytes:
    """The body. The same letters give the same bytes."""
    return gzip.compress(b"".join(_encode(letter) + b"\n" for letter in letters), compresslevel=6, mtime=0)


def unpack(body: bytes, key: str) -> Iterator[DeadLetter]:
    """The letters of a body. Raises DeadLetterError, which names the object, for a body that is none."""
    try:
        if not body:
            raise EOFError("it is empty")
        for line in gzip.GzipFile(fileobj=BytesIO(body)):
            yield _decode(line)
    except (OSError, EOFError, zlib.error, msgspec.DecodeError, ValueError) as error:
        raise DeadLetterError(f"the archive's object {key!r} is damaged: {error}; restore its last version") from error


def chunks(letters: Iterator[DeadLetter]) -> Iterator[list[DeadLetter]]:
    """Runs of letters of one partition, in order, each for one object: of one hour and not too large."""
    chunk: list[DeadLetter] = []
    size = 0
    for letter in letters:
        full = len(chunk) == OBJECT_LETTERS_MAX or size + len(letter.value) > OBJECT_BYTES_MAX
        if chunk and (full or hour_of(letter) != hour_of(chunk[0])):
            yield chunk
            chunk, size = [], 0
        chunk.append(letter)
        size += len(letter.value)
    if chunk:
        yield chunk
