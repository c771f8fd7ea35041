"""Reads the dead-letter topic, and only what is committed there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from instrument_cache.dead_letters.letter import DeadLetter, dead_letter_topic, letter_of
from instrument_cache.kafka import read_to_end

_GROUP = "instrument-cache.dead-letters"


def read_letters(bootstrap: str, dataset: str, starts: Mapping[int, int] | None = None) -> Iterator[DeadLetter]:
    """Every letter that is committed now, from `starts` (partition → offset in the dead-letter topic) or the beginning.

    Per partition in order; a record that was rejected again has a second letter. Raises LogUnavailable.
    """
    topic = dead_letter_topic(dataset)
    for message in read_to_end(bootstrap, topic, group=_GROUP, committed_only=True, starts=starts):
        yield letter_of(message)
