"""The account of a dataset's stream: what became of every Kafka record, per partition, each offset counted once.

    next - start = applied + duplicate + stale + superseded + rejected + skipped

A batch is settled in the store behind its own changes, and only against the account that the worker knows. A worker
that is out of date, because another one took its partition over or because Redis went back, learns the newer account
and applies the batch again. So a replay is known by its offsets and counts as `replayed`, which is outside the sum.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

import msgspec

from instrument_cache.change import Outcome

# The newest ranges are kept: a log that was compacted has thousands, and `skipped` still counts them all.
HOLES_MAX: Final = 200


class PartitionAccount(msgspec.Struct, frozen=True):
    """One partition. `start` is the first offset that was accounted, `next` the one after the last.

    `ties` is a part of applied and stale. `replayed` counts records that came again. `skipped` is the number of offsets
    between start and next that never came, and `holes` the newest ranges [first, end) in which they lie: compaction
    takes records out of a log, and so does a loss; `discrepancies` tells them apart.
    """

    partition: int
    start: int = 0
    next: int = 0
    applied: int = 0
    duplicate: int = 0
    stale: int = 0
    superseded: int = 0
    rejected: int = 0
    ties: int = 0
    replayed: int = 0
    skipped: int = 0
    holes: tuple[tuple[int, int], ...] = ()

    @property
    def total(self) -> int:
        """Records accounted, each once."""
        return sum(getattr(self, outcome) for outcome in Outcome)


class OffsetsInLog(NamedTuple):
    """What a partition of the log holds: its first offset, the one after its last, and which of `asked` are there."""

    first: int
    end: int
    present: frozenset[int] = frozenset()


class Discrepancy(NamedTuple):
    """Offsets [first, end) of a partition for which the account is wrong."""

    partition: int
    kind: str
    first: int
    end: int
    text: str


def totals(accounts: Mapping[int, PartitionAccount]) -> dict[str, int]:
    """The sums over all partitions, by the name of the counter."""
    names = (*Outcome, "ties", "replayed")
    return {str(name): sum(getattr(account, name) for account in accounts.values()) for name in names}


def discrepancies(accounts: Mapping[int, PartitionAccount], log: Mapping[int, OffsetsInLog]) -> list[Discrepancy]:
    """Every partition in which the account contradicts itself or the log.

    `sum`: the outcomes do not add up. `gap`: records of the log were passed over. `excess`: more was accounted than the
    log ever held. What compaction took away is none of these.
    """
    found: list[Discrepancy] = []
    for account in accounts.values():
        found += _of_itself(account)
        if account.partition in log:
            found += _against_log(account, log[account.partition])
    return found


def unaccounted(account: PartitionAccount, first: int) -> list[tuple[int, int]]:
    """The ranges that the account leaves out of a log that begins at `first`: what lies before it, and its holes."""
    return [*([(first, account.start)] if first < account.start else []), *account.holes]


def _of_itself(account: PartitionAccount) -> Iterable[Discrepancy]:
    p, wanted = account.partition, account.next - account.start - account.skipped
    if account.total != wanted:
        text = f"partition {p}: {account.total} outcomes for {wanted} records of [{account.start}, {account.next})"
        yield Discrepancy(p, "sum", account.start, account.next, text)


def _against_log(account: PartitionAccount, log: OffsetsInLog) -> Iterable[Discrepancy]:
    p = account.partition
    if account.next > log.end:
        text = f"partition {p}: accounted up to {account.next}, but the log ends at {log.end}; was the topic made anew?"
        yield Discrepancy(p, "excess", log.end, account.next, text)
    for first, end in unaccounted(account, log.first):
        passed = sorted(offset for offset in log.present if first <= offset < end)
        if passed:
            text = f"partition {p}: {len(passed)} records in [{first}, {end}) were never accounted, first {passed[0]}"
            yield Discrepancy(p, "gap", passed[0], passed[-1] + 1, text)
