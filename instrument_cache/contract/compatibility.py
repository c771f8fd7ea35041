"""What changed between two versions of a contract, whom it breaks, and how to mend it.

*Readers* ask the cache or read the topic, *writers* produce the records, and the log still holds those of the old
version. A change breaks readers if those that were built on the old contract do not get what they relied on, and
writers if what they write by the old contract is rejected or lost.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from instrument_cache.avro_compatibility import mismatches
from instrument_cache.avro_schema import envelope_schema
from instrument_cache.contract import Contract
from instrument_cache.contract.field_changes import field_changes
from instrument_cache.contract.verdict import BOTH, NOBODY, READERS, WRITERS, Change


@dataclass(frozen=True, slots=True)
class _Limit:
    """A number of the contract that harms somebody when it shrinks."""

    entry: str
    attribute: str
    breaks: tuple[str, ...]
    why: str


_LIMITS: Final = (
    _Limit("tombstoneTtlSeconds", "tombstone_ttl_s", READERS, "a replayed older change brings deleted records back"),
    _Limit("recordBytesMax", "record_bytes_max", WRITERS, "records that were taken are rejected as too_large"),
    _Limit(
        "versionAheadSecondsMax", "version_ahead_s_max", WRITERS, "versions of a clock that runs ahead are rejected"
    ),
)


def compare(old: Contract, new: Contract) -> list[Change]:
    """Every change from one contract to the other, those that break somebody first."""
    found = [
        *_identity(old, new),
        *field_changes(old, new),
        *_aliases(old, new),
        *_lives(old, new),
        *_limits(old, new),
        *_quality(old, new),
    ]
    found += [change for change in _avro(old, new) if not _is_said(change, found)]
    return sorted(found, key=lambda change: not change.breaks)


def _identity(old: Contract, new: Contract) -> Iterator[Change]:
    if old.dataset != new.dataset:
        yield Change("id", f"{old.dataset!r} became {new.dataset!r}", BOTH, "a new id is a new dataset: add a contract")
    if old.key.name != new.key.name:
        fix = f"keep {old.key.name!r} as the key, or begin a new dataset: what is stored is found by its old key only"
        yield Change(new.key.name, f"the key was {old.key.name!r}", BOTH, fix)
    if old.key_prefix != new.key_prefix:
        fix = f"keep {old.key_prefix!r}: under another prefix the cache begins empty and the old keys stay for ever"
        yield Change("keyPrefix", f"{old.key_prefix!r} became {new.key_prefix!r}", READERS, fix)
    if old.version_field.name != new.version_field.name:
        fix = f"keep {old.version_field.name!r}: versions of two fields do not compare"
        yield Change(new.version_field.name, f"the version was in {old.version_field.name!r}", BOTH, fix)
    if old.version_unit != new.version_unit:
        fix = f"keep {old.version_unit.value}: what is stored has versions of that unit and would win or lose for ever"
        what = f"the version's unit was {old.version_unit.value}, it is {new.version_unit.value}"
        yield Change(new.version_field.name, what, BOTH, fix)


def _aliases(old: Contract, new: Contract) -> Iterator[Change]:
    before = {alias.field.name: alias.prefix for alias in old.aliases}
    after = {alias.field.name: alias.prefix for alias in new.aliases}
    for name, prefix in before.items():
        if name not in after:
            fix = f"keep the property alias: {prefix}; look-ups by {name} answer 404 without it"
            yield Change(name, f"the alias {prefix!r} was removed", READERS, fix)
        elif after[name] != prefix:
            fix = f"keep the alias {prefix!r}; under another prefix nothing is found until every record came again"
            yield Change(name, f"the alias {prefix!r} became {after[name]!r}", READERS, fix)
    for name in after.keys() - before.keys():
        yield Change(name, f"the alias {after[name]!r} was added", NOBODY, "")


def _lives(old: Contract, new: Contract) -> Iterator[Change]:
    if old.ttl_s == new.ttl_s:
        return
    shorter = new.ttl_s is not None and (old.ttl_s is None or new.ttl_s < old.ttl_s)
    what = f"{_shown(old.ttl_s)} became {_shown(new.ttl_s)}"
    fix = f"keep {_shown(old.ttl_s)}: records vanish that readers still find" if shorter else ""
    yield Change("ttlSeconds", what, READERS if shorter else NOBODY, fix)


def _limits(old: Contract, new: Contract) -> Iterator[Change]:
    for limit in _LIMITS:
        before, after = getattr(old, limit.attribute), getattr(new, limit.attribute)
        if after < before:
            yield Change(limit.entry, f"{before} became {after}", limit.breaks, f"keep {before}: {limit.why}")
        elif after > before:
            yield Change(limit.entry, f"{before} became {after}", NOBODY, "")
    for entry, before, after in (
        ("replaySecondsMax", old.replay_s_max, new.replay_s_max),
        ("httpMaxAgeSeconds", old.http_max_age_s, new.http_max_age_s),
    ):
        if before != after:
            yield Change(entry, f"{before} became {after}", NOBODY, "")


def _quality(old: Contract, new: Contract) -> Iterator[Change]:
    before, after = ({rule.name: rule for rule in contract.quality} for contract in (old, new))
    for name in sorted(before.keys() | after.keys()):
        if before.get(name) != after.get(name):
            what = "added" if name not in before else "removed" if name not in after else "changed"
            yield Change(f"quality {name}", f"the rule was {what}; the stream does not judge by it", NOBODY, "")


def _avro(old: Contract, new: Contract) -> Iterator[Change]:
    before, after = envelope_schema(old), envelope_schema(new)
    for breaks, reader, writer in ((READERS, before, after), (WRITERS, after, before)):
        for wrong in mismatches(reader, writer):
            name = wrong.path.rpartition(".")[2]
            yield Change(name, f"Avro: {wrong.reason}", breaks, f"keep the type of {name!r}")


def _is_said(change: Change, found: list[Change]) -> bool:
    return any(other.entry == change.entry and set(change.breaks) <= set(other.breaks) for other in found)


def _shown(ttl_s: int | None) -> str:
    return "null (for ever)" if ttl_s is None else f"{ttl_s} s"
