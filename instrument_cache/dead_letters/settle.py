"""Waits until the job has taken replayed records, and tells what became of them.

The account tells when the job has passed a record: it is settled behind the changes, so that the store then shows what
the guard decided.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from instrument_cache.dead_letters.outcome import ReplayOutcome
from instrument_cache.dead_letters.plan import held_by
from instrument_cache.store.interface import VersionedStore

_POLL_S: Final = 0.3


@dataclass(frozen=True, slots=True)
class Written:
    """A record in the change topic: the bytes that the store is to hold, and where the record stands."""

    stored: bytes
    partition: int
    offset: int


Settled = tuple[str, ReplayOutcome, bytes | None]  # Redis key, outcome, what the store holds now


def await_settled(
    store: VersionedStore,
    written: Mapping[str, Written],
    deadline_s: float,
) -> Iterator[Settled]:
    """Each record (by Redis key) as its outcome shows; those of which nothing shows before `deadline_s` are left out.

    `deadline_s` is a time of `time.monotonic`. REJECTED: the job has passed the record and the store holds neither it
    nor anything newer. Raises StoreUnavailable.
    """
    left = dict(written)
    while left:
        # The account first: what it covers then is in what the store shows afterwards.
        positions = store.positions(sorted({record.partition for record in left.values()}))
        passed = {partition: position.next for partition, position in positions.items()}
        for key, held in held_by(store, left).items():
            if passed.get(left[key].partition, 0) > left[key].offset:
                yield key, _outcome(left.pop(key), held), held
        if time.monotonic() > deadline_s:
            return
        if left:
            time.sleep(_POLL_S)


def _outcome(record: Written, held: bytes | None) -> ReplayOutcome:
    if held is None or held < record.stored:
        return ReplayOutcome.REJECTED
    return ReplayOutcome.APPLIED if held == record.stored else ReplayOutcome.STALE
