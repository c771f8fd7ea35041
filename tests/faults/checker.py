"""Judges a run: what the log says against what the store, the account, the dead letters and the readers say.

It is pure, knows nothing of servers, and does not trust the product: `expected.py` works the state out anew.

| finding | what it means |
| --- | --- |
| `missing` | a key that must be readable is not in the store |
| `stale` | a key holds an older version than the log's newest |
| `tie` | of two values of the same version the smaller is held |
| `extra` | a key is held though no change put it there, or though its newest change deletes it |
| `tombstone` | a deletion is not remembered |
| `ttl` | a key expires at another time than its change says |
| `regression` | a reader saw a key go back to smaller bytes, or vanish |
| `resurrection` | a reader saw a key alive again after its deletion, without a newer version |
| `uncounted` | the account of a partition has fewer records than its log |
| `double_counted` | the account of a partition has more records than its log |
| `account` | the account contradicts itself, has a gap in which the log has records, or counts other rejects |
| `dead_letter` | a rejected record is not in the dead letters exactly once, or a valid one is |
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from tests.faults.expected import Expected

NAMES: Final = (
    *("missing", "stale", "tie", "extra", "tombstone", "ttl"),
    *("regression", "resurrection", "uncounted", "double_counted", "account", "dead_letter"),
)
_VERSION: Final = slice(5, 21)
_TOMBSTONE: Final = b',"~deleted_at":'


class Finding(NamedTuple):
    """One thing that is wrong. `name` is one of NAMES, `where` a key or a partition."""

    name: str
    where: str
    text: str


class Seen(NamedTuple):
    """What a reader saw under a key, noted when it differs from what it saw before. None: nothing is there."""

    reader: str
    key: str
    stored: bytes | None


class Counted(NamedTuple):
    """What the product's account says of one partition."""

    total: int
    rejected: int
    discrepancies: tuple[str, ...] = ()


@dataclass(frozen=True)
class Observed:
    """What there is after a run. `expires_at_ms` holds 0 or nothing for keys that do not expire.

    `hides_tombstones`: readers to whom a deleted key is simply not there (REST).
    """

    stored: Mapping[str, bytes]
    expires_at_ms: Mapping[str, int]
    accounts: Mapping[int, Counted]
    dead_letters: Iterable[tuple[int, int]] = ()
    seen: Iterable[Seen] = ()
    hides_tombstones: frozenset[str] = field(default_factory=frozenset)


def check(expected: Expected, observed: Observed) -> list[Finding]:
    """Every finding, in the order of NAMES' columns: state, expiry, readers, account, dead letters."""
    return [
        *_state(expected, observed.stored),
        *_expiry(expected, observed),
        *reader_findings(observed.seen, observed.hides_tombstones),
        *_accounts(expected, observed.accounts),
        *_dead_letters(expected, observed.dead_letters),
    ]


def tally(findings: Iterable[Finding]) -> Counter[str]:
    """Name → how many."""
    return Counter(finding.name for finding in findings)


def _state(expected: Expected, stored: Mapping[str, bytes]) -> Iterator[Finding]:
    for key in expected.stored.keys() | stored.keys():
        due, held = expected.stored.get(key), stored.get(key)
        if due != held:
            yield Finding(_name(due, held), key, f"due is {due!r}, held is {held!r}")


def _name(due: bytes | None, held: bytes | None) -> str:
    if due is None:
        return "extra"
    if held is None:
        return "tombstone" if _is_deleted(due) else "missing"
    if _is_deleted(due) and not _is_deleted(held):
        return "extra"
    if _is_deleted(held) and not _is_deleted(due):
        return "missing"
    return "tie" if due[_VERSION] == held[_VERSION] else "stale"


def _expiry(expected: Expected, observed: Observed) -> Iterator[Finding]:
    for key, stored in expected.stored.items():
        due, held = expected.expires_at_ms.get(key, 0), observed.expires_at_ms.get(key, 0)
        if observed.stored.get(key) == stored and due != held:
            yield Finding("ttl", key, f"expires at {held} ms, due is {due} ms (difference {held - due} ms)")


def reader_findings(observed: Iterable[Seen], hides_tombstones: frozenset[str] = frozenset()) -> Iterator[Finding]:
    """What readers must never see. The same reader's observations of a key stand in the order of its reads."""
    newest: dict[tuple[str, str], bytes] = {}
    gone: set[tuple[str, str]] = set()
    for seen in observed:
        at = (seen.reader, seen.key)
        before = newest.get(at, b"")
        if seen.stored is None:
            if before and seen.reader not in hides_tombstones:
                yield Finding("regression", seen.key, f"{seen.reader} saw it vanish after {before!r}")
            gone.add(at)
            continue
        was_deleted = at in gone or _is_deleted(before)
        if before and was_deleted and not _is_deleted(seen.stored) and seen.stored[_VERSION] <= before[_VERSION]:
            yield Finding("resurrection", seen.key, f"{seen.reader} saw {seen.stored!r} after the end of {before!r}")
        elif seen.stored < before:
            yield Finding("regression", seen.key, f"{seen.reader} saw {seen.stored!r} after {before!r}")
        newest[at] = seen.stored
        gone.discard(at)


def _accounts(expected: Expected, accounts: Mapping[int, Counted]) -> Iterator[Finding]:
    rejected = Counter(partition for partition, _ in expected.rejected)
    for partition in sorted(expected.counts.keys() | accounts.keys()):
        due, account = expected.counts.get(partition, 0), accounts.get(partition, Counted(0, 0))
        where = f"partition {partition}"
        if account.total != due:
            name = "uncounted" if account.total < due else "double_counted"
            yield Finding(name, where, f"{account.total} records are accounted, the log has {due}")
        if account.rejected != rejected[partition]:
            yield Finding(
                "account", where, f"{account.rejected} are counted as rejected, due are {rejected[partition]}"
            )
        for text in account.discrepancies:
            yield Finding("account", where, text)


def _dead_letters(expected: Expected, found: Iterable[tuple[int, int]]) -> Iterator[Finding]:
    counts = Counter(found)
    for position in sorted(expected.rejected | counts.keys()):
        due, held = int(position in expected.rejected), counts[position]
        if due != held:
            yield Finding("dead_letter", f"{position[0]}-{position[1]}", f"{held} dead letters, due are {due}")


def _is_deleted(stored: bytes) -> bool:
    return stored.startswith(_TOMBSTONE, _VERSION.stop)
