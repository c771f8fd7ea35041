"""The archive of dead letters in S3: Kafka forgets them after 90 days, the archive does not.

How far a partition is archived is read from the archive itself, so there is no state that could disagree with it.
Killed anywhere and run again, or run twice at once, it holds each letter exactly once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

import msgspec

from instrument_cache.dead_letters.archive_objects import (
    NEXT,
    ArchiveObject,
    chunks,
    object_of,
    pack,
    parse_key,
    prefix,
    unpack,
)
from instrument_cache.dead_letters.letter import DeadLetter, dead_letter_topic
from instrument_cache.dead_letters.letter_filter import LetterFilter
from instrument_cache.dead_letters.reader import read_letters
from instrument_cache.errors import DeadLetterError
from instrument_cache.kafka import topic_id, topic_spans
from instrument_cache.objects import ObjectStore


class Archived(msgspec.Struct):
    """What one run of the archiver came to."""

    letters: int = 0
    objects: int = 0
    value_bytes: int = 0
    by_others: int = 0  # objects that another archiver wrote first


class Archive:
    """The dead letters of one dataset in S3. Methods raise ObjectStoreUnavailable."""

    def __init__(self, objects: ObjectStore, dataset: str) -> None:
        self._objects, self._dataset = objects, dataset

    def listed(self) -> list[ArchiveObject]:
        """Every object, the oldest hour first."""
        keys = self._objects.keys(prefix(self._dataset))
        return sorted(found for key in keys if (found := parse_key(key, self._dataset)))

    def archived_to(self, topic: str) -> dict[int, int]:
        """Partition → the offset after its last archived letter, for one incarnation of the topic."""
        newest: dict[int, ArchiveObject] = {}
        for found in self.listed():
            if found.topic_id == topic and found.start >= newest.get(found.partition, found).start:
                newest[found.partition] = found
        return {partition: self._end(found) for partition, found in newest.items()}

    def write(self, letters: Iterable[DeadLetter], topic: str, done: Archived) -> None:
        """Archive letters of one partition, which come in order and go on where it ended."""
        end = 0
        for chunk in chunks(iter(letters)):
            # What another archiver has written meanwhile may end within the chunk.
            while rest := [letter for letter in chunk if letter.letter_offset >= end]:
                end = self._put(rest, topic, done)

    def _put(self, letters: list[DeadLetter], topic: str, done: Archived) -> int:
        """Returns how far the object of these letters reaches, whoever wrote it."""
        place, end = object_of(letters, topic), letters[-1].letter_offset + 1
        if not self._objects.put_once(place.key(self._dataset), pack(letters), {NEXT: str(end)}):
            done.by_others += 1
            return self._end(place)
        done.objects += 1
        done.letters += len(letters)
        done.value_bytes += sum(len(letter.value) for letter in letters)
        return end

    def _end(self, place: ArchiveObject) -> int:
        key = place.key(self._dataset)
        text = self._objects.metadata(key).get(NEXT, "")
        if not text.isdecimal() or int(text) <= place.start:
            raise DeadLetterError(f"the archive's object {key!r} has {NEXT}={text!r}; restore it with its metadata")
        return int(text)

    def read(self, wanted: LetterFilter | None = None, kept: Kept | None = None) -> Iterator[DeadLetter]:
        """The letters of objects that may hold something wanted, the oldest hour first; not those in `kept`."""
        wanted, kept = wanted or LetterFilter(), kept or Kept("", {})
        for found in self.listed():
            if wanted.covers(*found.span_us) and not kept.has(found.topic_id, found.partition, found.start):
                key = found.key(self._dataset)
                for letter in unpack(self._objects.get(key), key):
                    if not kept.has(found.topic_id, letter.letter_partition, letter.letter_offset):
                        yield letter


@dataclass(frozen=True, slots=True)
class Kept:
    """What Kafka has: the incarnation of the topic, and partition → the first offset that is kept."""

    topic_id: str
    starts: Mapping[int, int]

    def has(self, topic: str, partition: int, offset: int) -> bool:
        return topic == self.topic_id and partition in self.starts and offset >= self.starts[partition]


def archive_letters(
    bootstrap: str, dataset: str, archive: Archive, progress: Callable[[Archived], None] = lambda _: None
) -> Archived:
    """Archive every committed letter that is not yet archived. Raises LogUnavailable, ObjectStoreUnavailable."""
    topic = topic_id(bootstrap, dead_letter_topic(dataset))
    archived_to, done = archive.archived_to(topic), Archived()
    for partition, span in topic_spans(bootstrap, dead_letter_topic(dataset), committed_only=True).items():
        start = archived_to.get(partition, 0)
        if start < span.end:
            archive.write(read_letters(bootstrap, dataset, {partition: start}), topic, done)
            progress(done)
    return done


def all_letters(bootstrap: str, dataset: str, archive: Archive, wanted: LetterFilter) -> Iterator[DeadLetter]:
    """The archived letters that Kafka no longer has, then Kafka's. Raises LogUnavailable, ObjectStoreUnavailable."""
    topic = dead_letter_topic(dataset)
    spans = topic_spans(bootstrap, topic, committed_only=True)
    kept = Kept(topic_id(bootstrap, topic), {partition: span.start for partition, span in spans.items()})
    yield from archive.read(wanted, kept)
    yield from read_letters(bootstrap, dataset)
