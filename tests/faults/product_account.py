"""The product's own account, in the words of the checker."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from instrument_cache.account import OffsetsInLog, PartitionAccount, discrepancies
from instrument_cache.change import Outcome
from tests.faults.checker import Counted
from tests.faults.expected import LogRecord


def counted(accounts: Mapping[int, PartitionAccount], log: Iterable[LogRecord]) -> dict[int, Counted]:
    """Partition → what its account says, and what the product itself finds wrong with it."""
    found = discrepancies(accounts, _offsets(log))
    return {
        partition: Counted(
            account.total,
            account.rejected,
            (*(d.text for d in found if d.partition == partition), *_negative(account)),
        )
        for partition, account in accounts.items()
    }


def _negative(account: PartitionAccount) -> Iterator[str]:
    """Counts that make the sum right and are wrong by themselves."""
    for name in (*Outcome, "ties", "replayed", "skipped"):
        if getattr(account, name) < 0:
            yield f"{name} is {getattr(account, name)}"


def _offsets(log: Iterable[LogRecord]) -> dict[int, OffsetsInLog]:
    present: dict[int, set[int]] = {}
    for record in log:
        present.setdefault(record.partition, set()).add(record.offset)
    return {at: OffsetsInLog(min(offsets), max(offsets) + 1, frozenset(offsets)) for at, offsets in present.items()}
