"""The account of a stream against the Kafka log that it accounts for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from instrument_cache.account import Discrepancy, OffsetsInLog, PartitionAccount, discrepancies, unaccounted
from instrument_cache.kafka import read_to_end, topic_spans
from instrument_cache.store.interface import VersionedStore


@dataclass(frozen=True)
class AccountReport:
    """The account per partition, the offset after the last record of each, and what is wrong."""

    accounts: Mapping[int, PartitionAccount]
    ends: Mapping[int, int]
    wrong: list[Discrepancy]

    def behind(self, partition: int) -> int:
        """Records of the log that are not accounted yet."""
        account = self.accounts.get(partition)
        return self.ends[partition] - account.next if account else self.ends[partition]


def check_account(store: VersionedStore, bootstrap: str, topic: str) -> AccountReport:
    """Read the account, and of the log what lies in its holes. Raises StoreUnavailable or LogUnavailable."""
    accounts, spans = store.accounts(), topic_spans(bootstrap, topic)
    left_out = {at: unaccounted(account, spans[at].start) for at, account in accounts.items() if at in spans}
    present = _present({at: ranges for at, ranges in left_out.items() if ranges}, bootstrap, topic)
    log = {at: OffsetsInLog(span.start, span.end, present.get(at, frozenset())) for at, span in spans.items()}
    return AccountReport(accounts, {at: span.end for at, span in spans.items()}, discrepancies(accounts, log))


def _present(left_out: Mapping[int, list[tuple[int, int]]], bootstrap: str, topic: str) -> dict[int, frozenset[int]]:
    """Which offsets of these ranges the log still has."""
    if not left_out:
        return {}
    found: dict[int, set[int]] = {partition: set() for partition in left_out}
    starts = {partition: ranges[0][0] for partition, ranges in left_out.items()}
    for message in read_to_end(bootstrap, topic, group="instrument-cache.account", starts=starts):
        partition, offset = message.partition(), message.offset()
        if any(first <= offset < end for first, end in left_out[partition]):
            found[partition].add(offset)
    return {partition: frozenset(offsets) for partition, offsets in found.items()}
