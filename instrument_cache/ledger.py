"""The worker's side of the account: which offsets of a batch are new, and what the batch adds to each partition."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from instrument_cache.account import HOLES_MAX
from instrument_cache.change import Outcome
from instrument_cache.errors import InstrumentCacheError
from instrument_cache.store.interface import Entry, Position, VersionedStore

# A slot is one byte; 0 stands for records that were accounted before.
_SLOTS_MAX: Final = 255


class Page:
    """One batch. `slots` has one byte for each record: its partition's slot, or 0 if it was accounted before."""

    def __init__(self, size: int) -> None:
        self._slots = np.zeros(size, dtype=np.uint8)
        self._moves: list[tuple[int, Position, Position]] = []
        self._replayed: list[int] = []
        self.slots = b""

    def add(self, partition: int, records: Any, before: Position, after: Position, new: Any) -> None:
        """Records (a mask over the batch) of one partition, of which `new` (a mask over these) count."""
        if len(self._moves) == _SLOTS_MAX:
            raise InstrumentCacheError(
                f"a batch has records of more than {_SLOTS_MAX} partitions; use fewer partitions"
            )
        self._moves.append((partition, before, after))
        self._slots[records] = np.where(new, len(self._moves), 0)
        self._replayed.append(int(new.size - new.sum()))

    def seal(self) -> Page:
        """To be called once all partitions are in."""
        self.slots = self._slots.tobytes()
        return self

    def entries(self, counts: Mapping[tuple[int, str], int]) -> list[Entry]:
        """What the store is to settle. `counts` is {(slot, outcome): records}; what the store decides is in applied."""
        return [self._entry(slot, counts) for slot in range(1, len(self._moves) + 1)]

    def _entry(self, slot: int, counts: Mapping[tuple[int, str], int]) -> Entry:
        partition, before, after = self._moves[slot - 1]
        own = {str(outcome): counts[slot, outcome] for outcome in Outcome if (slot, outcome) in counts}
        new = int(np.count_nonzero(self._slots == slot))
        grown = after.next - after.start - (0 if before.is_new else before.next - before.start)
        own |= {"replayed": self._replayed[slot - 1], "skipped": grown - new}
        return Entry(partition, slot, before, after, {name: amount for name, amount in own.items() if amount})

    def positions(self) -> dict[int, Position]:
        """Where each partition stands once the batch is settled."""
        return {partition: after for partition, _, after in self._moves}


class Ledger:
    """Remembers how far each partition is accounted. One worker's; what it remembers is checked in each settlement."""

    def __init__(self, store: VersionedStore) -> None:
        self._store = store
        self._known: dict[int, Position] = {}

    def open(self, partitions: Sequence[int], offsets: Sequence[int]) -> Page:
        """Find the new offsets of a batch. Raises StoreUnavailable."""
        of, at = np.asarray(partitions, dtype=np.int64), np.asarray(offsets, dtype=np.int64)
        present = [int(partition) for partition in np.unique(of)]
        unknown = [partition for partition in present if partition not in self._known]
        if unknown:
            self._known |= self._store.positions(unknown)
        page = Page(len(of))
        for partition in present:
            records = of == partition
            page.add(partition, records, self._known[partition], *_advance(self._known[partition], at[records]))
        return page.seal()

    def close(self, page: Page) -> None:
        """The batch is settled."""
        self._known |= page.positions()

    def forget(self) -> None:
        """What is remembered may be wrong: ask the store again."""
        self._known.clear()


def _advance(before: Position, offsets: Any) -> tuple[Position, Any]:
    """The position behind these offsets, and a mask of those that are new."""
    if before.is_new:
        first = int(offsets[0])
        before = Position(first, first)
    steps = np.diff(offsets, prepend=before.next - 1)
    if steps.min() < 1:
        return _advance_one_by_one(before, offsets)
    holes = before.holes
    if int(offsets[-1]) - before.next + 1 != len(offsets):
        ends = offsets[steps > 1]
        holes += tuple(zip((ends - steps[steps > 1] + 1).tolist(), ends.tolist(), strict=True))
    return Position(before.start, int(offsets[-1]) + 1, holes[-HOLES_MAX:]), np.ones(len(offsets), dtype=bool)


def _advance_one_by_one(before: Position, offsets: Any) -> tuple[Position, Any]:
    """The same where some were seen before: a replay, which may also bring what had been passed over."""
    start, reached, holes = before.start, before.next, list(before.holes)
    new = np.zeros(len(offsets), dtype=bool)
    for index, offset in enumerate(offsets.tolist()):
        if offset < start:  # the account began behind it, and the job now began before
            holes.insert(0, (offset, start))
            start = offset
        if offset >= reached:
            if offset > reached:
                holes.append((reached, offset))
            reached, new[index] = offset + 1, True
        else:
            new[index] = _fill(holes, offset)
    return Position(start, reached, tuple(holes[-HOLES_MAX:])), new


def _fill(holes: list[tuple[int, int]], offset: int) -> bool:
    """Take an offset out of the hole that it lies in. False if it lies in none."""
    for index, (first, end) in enumerate(holes):
        if first <= offset < end:
            holes[index : index + 1] = [part for part in ((first, offset), (offset + 1, end)) if part[0] < part[1]]
            return True
    return False
