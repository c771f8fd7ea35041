"""Entries of a backup → the guard, which keeps whatever is newer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Final

from instrument_cache.backup.entries import Entry
from instrument_cache.restore.counts import Counts
from instrument_cache.restore.interface import RestoreStore
from instrument_cache.restore.patience import Patience
from instrument_cache.restore.scope import KeyFilter

ENTRIES_PER_OFFER: Final = 4000
Progress = Callable[[Counts], None]


def silent(counts: Counts) -> None:
    """No progress is shown."""


def offer_entries(
    entries: Iterable[Entry],
    wanted: KeyFilter,
    store: RestoreStore,
    now_ms: Callable[[], int],
    patience: Patience,
    progress: Progress = silent,
) -> Counts:
    """Offer what is wanted and has not expired by `now_ms`. Raises Unavailable; to be done again then."""
    counts = Counts()
    for chunk in chunks(entries):
        counts.read += len(chunk)
        alive = _alive(chunk, wanted, patience.call(now_ms), counts)
        values = {entry.key: entry.value for entry in alive}
        expires_at_ms = {entry.key: entry.expires_at_ms for entry in alive if entry.expires_at_ms}
        counts.add_letters(patience.call(lambda: store.offer(values, expires_at_ms)))  # noqa: B023
        progress(counts)
    return counts


def chunks(entries: Iterable[Entry]) -> Iterator[list[Entry]]:
    """Some at a time."""
    left = iter(entries)
    while chunk := list(islice(left, ENTRIES_PER_OFFER)):
        yield chunk


def is_alive(entry: Entry, now_ms: int) -> bool:
    """False if its time to live is over: written now, it would come back to life."""
    return not entry.expires_at_ms or entry.expires_at_ms > now_ms


def _alive(chunk: list[Entry], wanted: KeyFilter, now_ms: int, counts: Counts) -> list[Entry]:
    own = [entry for entry in chunk if wanted.wants(entry.key, entry.value)]
    alive = [entry for entry in own if is_alive(entry, now_ms)]
    counts.expired += len(own) - len(alive)
    return alive
