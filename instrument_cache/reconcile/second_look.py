"""The second look: at the keys alone that may differ, after the stream had its time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Final, NamedTuple

from instrument_cache.change import is_tombstone
from instrument_cache.reconcile.judge import Look, is_of_the_store, judge
from instrument_cache.reconcile.model import Difference, Sample, digest
from instrument_cache.reconcile.spool import Candidate, CandidateSpool
from instrument_cache.reconcile.wants import Want, Wants
from instrument_cache.store.interface import VersionedStore

_PAGE_KEYS: Final = 500
_TEXT_MAX: Final = 400


class Claims(NamedTuple):
    """All claims to one key: whose they are, the source's newest version at the first look, and the cache's then."""

    owners: tuple[str, ...]
    version: int
    held: int


class State(NamedTuple):
    """One key as it is now. The cache was read first."""

    held: bytes | None
    is_foreign: bool
    want: Want
    owners: tuple[str, ...]


class SecondLook:
    """Looks at keys in the cache and at the source, and judges. Raises SourceUnavailable, StoreUnavailable."""

    def __init__(self, store: VersionedStore, wants: Wants, pause: Callable[[], None]) -> None:
        self._store, self._wants, self._pause = store, wants, pause

    def differences(
        self, candidates: CandidateSpool, shard: int, since_us: Callable[[str, int], int]
    ) -> Iterator[tuple[Difference, Sample]]:
        """What differs in one shard. `since_us`: (key, the row's time) → since when it may differ."""
        claims = iter(_claims(candidates.read(shard)).items())
        while page := dict(islice(claims, _PAGE_KEYS)):
            states = self.states({key: claim.owners for key, claim in page.items()})
            for key, claim in page.items():
                state = states[key]
                if found := self._difference(key, claim, state, since_us):
                    yield found
            self._pause()

    def states(self, owners: Mapping[str, tuple[str, ...]]) -> dict[str, State]:
        """How each key is now, in the cache and, read after it, by the source."""
        keys = list(owners)
        held = dict(zip(keys, self._store.get_many(keys), strict=True))
        foreign = self._store.foreign([key for key, value in held.items() if value is None])
        decisive = {key: self._decisive(key, owners[key], held[key]) for key in keys}
        wants = self._wants.of(decisive)
        return {key: State(held[key], key in foreign, wants[key], decisive[key]) for key in keys}

    def _decisive(self, key: str, owners: tuple[str, ...], held: bytes | None) -> tuple[str, ...]:
        """An alias may lead by now to a row that made no claim at the first look."""
        now = self._wants.owner(key, held)
        return owners if now is None or now in owners else (*owners, now)

    def _difference(
        self, key: str, claim: Claims, state: State, since_us: Callable[[str, int], int]
    ) -> tuple[Difference, Sample] | None:
        want, held = state.want, state.held
        if not want.is_known or (want.near_end and held is None):
            return None
        overdue = want.overdue or (held is not None and is_forgotten_late(held, self._wants))
        look = Look(self._wants.is_alias(key), claim.version, claim.held, held, state.is_foreign, want.value, overdue)
        kind = judge(look)
        if kind is None:
            return None
        since = since_us(key, want.changed_at_us)
        found = Difference(key, kind, state.owners, digest(held), digest(want.value), since)
        return found, Sample(key, kind, text(held), text(want.value))


def is_forgotten_late(held: bytes, wants: Wants) -> bool:
    """True for a tombstone whose time has passed."""
    return is_of_the_store(held) and is_tombstone(held) and wants.tombstone_overdue(held)


def text(value: bytes | None) -> str | None:
    """Bytes for people."""
    return None if value is None else value[:_TEXT_MAX].decode(errors="backslashreplace")


def _claims(candidates: Iterator[Candidate]) -> dict[str, Claims]:
    found: dict[str, Claims] = {}
    for key, owner, version, held in ((c.key, c.owner, c.version, c.held) for c in candidates):
        before = found.get(key, Claims((), 0, 0))
        owners = before.owners if not owner or owner in before.owners else (*before.owners, owner)
        found[key] = Claims(owners, max(version, before.version), max(held, before.held))
    return found
