"""How far a listener is: for each Kafka partition the offset of the next record. It is the id of an event.

As text `TOPIC_0.77-3.120`: twelve digits of the topic's id, then `partition.offset` in ascending order. What lies
before these offsets was told, so a stream that goes on from a cursor has no gap, whichever instance it comes from.
Behind it stands `_EPOCH.RESTORED`, the history that the listener knows, once there is one (`instrument_cache.history`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from instrument_cache.errors import InstrumentCacheError

TOPIC_DIGITS: Final = 12
TEXT_CHARACTERS_MAX: Final = 8000
_PLACE: Final = r"\d{1,6}\.\d{1,18}"
_FORM: Final = re.compile(rf"[0-9a-f]{{{TOPIC_DIGITS}}}_{_PLACE}(-{_PLACE})*(_\d{{1,9}}\.\d{{1,15}})?", re.ASCII)
Mark = tuple[int, int]
NO_MARK: Final[Mark] = (0, 0)


class CursorError(InstrumentCacheError):
    """A text is not the id of an event."""


@dataclass(frozen=True, slots=True)
class Cursor:
    """`topic` tells a topic from another one of the same name; `offsets` is partition → next offset.

    `mark` is that of the history that was told.
    """

    topic: str
    offsets: Mapping[int, int]
    mark: Mark = NO_MARK

    def text(self) -> str:
        """The id of an event."""
        places = "-".join(f"{at}.{offset}" for at, offset in sorted(self.offsets.items()))
        return f"{self.topic}_{places}{mark_text(self.mark)}"

    def advanced(self, offsets: Mapping[int, int]) -> Cursor:
        """This cursor, in no partition before `offsets`."""
        return replace(self, offsets={at: max(own, offsets.get(at, 0)) for at, own in self.offsets.items()})

    def within(self, partitions: Iterable[int]) -> Cursor:
        """This cursor for exactly these partitions; one that it does not know is new and begins at 0."""
        return replace(self, offsets={at: self.offsets.get(at, 0) for at in partitions})

    def knowing(self, mark: Mark) -> Cursor:
        """This cursor, once that history was told."""
        return replace(self, mark=mark)


def mark_text(mark: Mark) -> str:
    """What stands behind the offsets; nothing while there is no history."""
    return "" if mark == NO_MARK else f"_{mark[0]}.{mark[1]}"


def earliest(cursors: Iterable[Cursor]) -> Cursor:
    """The lowest offset of each partition. The cursors, at least one, are of one topic and the same partitions."""
    first, *others = cursors
    offsets = {at: min([own, *(other.offsets[at] for other in others)]) for at, own in first.offsets.items()}
    return replace(first, offsets=offsets)


def parse_cursor(text: str) -> Cursor:
    """The cursor that `text` is. Raises CursorError."""
    if len(text) > TEXT_CHARACTERS_MAX or not _FORM.fullmatch(text):
        raise CursorError(f"{text[:60]!r} is no id of an event (TOPIC_PARTITION.OFFSET-…); send one as it was received")
    topic, places, *marks = text.split("_")
    pairs = [(int(at), int(offset)) for at, offset in (place.split(".") for place in places.split("-"))]
    partitions = [at for at, _ in pairs]
    if partitions != sorted(set(partitions)):
        raise CursorError(f"{text[:60]!r} names its partitions twice or out of order; send an id as it was received")
    return Cursor(topic, dict(pairs), _mark(marks[0]) if marks else NO_MARK)


def _mark(text: str) -> Mark:
    epoch, restored = text.split(".")
    return int(epoch), int(restored)
