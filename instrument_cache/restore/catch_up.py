"""What changed since a backup, from the log into the cache: by the job's own code, past the account of the stream."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Final

import msgspec

from instrument_cache.batch import BatchApplier
from instrument_cache.canary import is_canary
from instrument_cache.change import ChangeDecoder
from instrument_cache.contract import Contract
from instrument_cache.kafka import Span, read_to_end, topic_spans
from instrument_cache.restore.counts import Counts
from instrument_cache.restore.offering import Progress, silent
from instrument_cache.restore.patience import Patience
from instrument_cache.restore.scope import Scope
from instrument_cache.store.interface import Entry, Position, VersionedStore

_GROUP: Final = "instrument-cache.restore"
_RECORDS_PER_BATCH: Final = 5000


class Starts(msgspec.Struct, frozen=True):
    """Partition → where to begin. `lost`: partitions whose log does not reach back so far, or is another log."""

    offsets: dict[int, int]
    lost: tuple[int, ...] = ()


class CaughtUp(msgspec.Struct, frozen=True):
    """What came from the log. `lost`: partitions that had to be read whole; compare with the source after it."""

    counts: Counts
    lost: tuple[int, ...] = ()


def starts_of(positions: Mapping[int, int], spans: Mapping[int, Span]) -> Starts:
    """Where the log is to be read from, given the backup's positions and what each partition keeps.

    A partition that the backup does not know is new, and read whole. So is one that does not hold the position: what
    was deleted in between and compacted away is not there, so only a comparison with the source proves the rest.
    """
    lost = tuple(at for at, span in spans.items() if not span.start <= positions.get(at, span.start) <= span.end)
    offsets = {at: span.start if at in lost else positions.get(at, span.start) for at, span in spans.items()}
    return Starts(offsets, lost)


class CatchUp:
    """Of one dataset and one topic."""

    def __init__(
        self, bootstrap: str, contract: Contract, store: VersionedStore, decoder: ChangeDecoder, patience: Patience
    ) -> None:
        self._bootstrap, self._contract, self._patience = bootstrap, contract, patience
        self._store = store
        self._decoder = decoder

    def starts(self, positions: Mapping[int, int]) -> Starts:
        """Raises LogUnavailable."""
        return starts_of(positions, self._patience.call(lambda: topic_spans(self._bootstrap, self._contract.dataset)))

    def run(self, starts: Starts, scope: Scope, progress: Progress = silent) -> Counts:
        """Apply the records of the scope up to the log's present end. Raises Unavailable; to be done again then."""
        counts = Counts()
        unaccounted: Any = UnaccountedStore(self._store, counts)
        applier = BatchApplier(self._contract, unaccounted, self._decoder)
        records = read_to_end(self._bootstrap, self._contract.dataset, group=_GROUP, starts=starts.offsets)
        for batch in _batches(records):
            counts.read += len(batch)
            values = [message.value() for message in batch if _is_wanted(message.key(), scope)]
            counts.rejected += self._apply(applier, values, counts.read)
            progress(counts)
        return counts

    def _apply(self, applier: BatchApplier, values: Sequence[bytes | None], behind: int) -> int:
        """The number of rejects. The places are made up, and only ascend: nothing is accounted."""
        if not values:
            return 0
        partitions, offsets = [0] * len(values), range(behind, behind + len(values))
        return len(self._patience.call(lambda: applier.apply(values, partitions, offsets)))


class UnaccountedStore:
    """The part of a store that a `BatchApplier` uses; it takes what is offered and keeps no account of it.

    The account says how far the *stream* is. What is read here beside it must not move that.
    """

    def __init__(self, store: VersionedStore, counts: Counts) -> None:
        self._store, self._counts = store, counts

    def positions(self, partitions: Sequence[int]) -> dict[int, Position]:
        """Every batch begins anew."""
        return {partition: Position() for partition in partitions}

    def exchange(self) -> _Exchange:
        return _Exchange(self._store, self._counts)


class _Exchange:
    """Implements `Exchange`."""

    def __init__(self, store: VersionedStore, counts: Counts) -> None:
        self._store, self._counts = store, counts

    def offer(self, values: Mapping[str, bytes], expires_at_ms: Mapping[str, int], slots: bytes) -> None:
        self._counts.add_letters(self._store.offer(values, expires_at_ms))

    def finish(self, entries: Sequence[Entry], lags: Mapping[str, int]) -> None:
        """Nothing is accounted."""

    def drop(self) -> None:
        """Nothing is held."""


def _batches(messages: Iterable[Any]) -> Iterator[list[Any]]:
    left = iter(messages)
    while batch := list(islice(left, _RECORDS_PER_BATCH)):
        yield batch


def _is_wanted(raw_key: bytes | None, scope: Scope) -> bool:
    """A canary tells how far the stream is, and that it tells itself."""
    if raw_key is None or is_canary(raw_key):
        return False
    return scope.is_all or scope.holds(raw_key.decode(errors="replace"))
