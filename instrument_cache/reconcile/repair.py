"""Repairs what a plan names, and only what still stands as the plan saw it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from instrument_cache.change import is_tombstone, stored_tombstone, version_of
from instrument_cache.clock import Clock
from instrument_cache.contract import Contract
from instrument_cache.contract.model import WIRE_VERSION_MIN
from instrument_cache.reconcile.judge import is_of_the_store
from instrument_cache.reconcile.model import Difference, Kind, Sample, digest
from instrument_cache.reconcile.plan import OPEN_MAX, PartResult
from instrument_cache.reconcile.second_look import SecondLook, State, text
from instrument_cache.store.interface import STALE, TIE_STALE, VersionedStore

_PAGE: Final = 500


class Repair:
    """Works off one part of a plan. Killed and begun again, it ends in the same state."""

    def __init__(
        self, contract: Contract, store: VersionedStore, look: SecondLook, clock: Clock, check: Callable[[], None]
    ) -> None:
        """`check` is called before each page; what it raises ends the repair."""
        self._contract, self._store, self._look, self._clock, self._check = contract, store, look, clock, check

    def part(self, number: int, differences: list[Difference], samples: list[Sample]) -> PartResult:
        """Raises SourceUnavailable, StoreUnavailable, and what `check` raises."""
        result = PartResult(number, {}, 0, {}, {})
        for at in range(0, len(differences), _PAGE):
            self._check()
            self._page(differences[at : at + _PAGE], result)
        own = {found.key for found in differences}
        shown = [sample.key for sample in samples if sample.key in own]
        result.after = dict(zip(shown, map(text, self._store.get_many(shown)), strict=True))
        return result

    def _page(self, page: list[Difference], result: PartResult) -> None:
        states = self._look.states({found.key: found.owners for found in page})
        offers: dict[str, tuple[bytes, int]] = {}
        waiting: list[Difference] = []
        for found in page:
            state = states[found.key]
            if _is_done(found, state):
                _count(result, found)
            elif digest(state.held) != found.seen or not state.want.is_known or digest(state.want.value) != found.want:
                result.moved += 1  # the stream was there meanwhile, or the source moved on: the next run looks again
            elif offer := self._offer(found, state):
                offers[found.key] = offer
                waiting.append(found)
            else:
                self._note(result, found, self._replace(found, state))
        refused = self._send(offers)
        for found in waiting:
            self._note(result, found, found.key not in refused)

    def _note(self, result: PartResult, found: Difference, is_done: bool) -> None:
        if is_done:
            _count(result, found)
            return
        result.moved += 1
        if len(result.open) < OPEN_MAX:
            result.open[found.key] = found.since_us

    def _offer(self, found: Difference, state: State) -> tuple[bytes, int] | None:
        """(bytes, expiry) if the guard's own order lets the repair win; else it must be a replacement."""
        new, expires_at_ms = self._new(found, state)
        if new is None:
            return None
        beats = state.held is None or (is_of_the_store(state.held) and new > state.held)
        return (new, expires_at_ms) if beats else None

    def _new(self, found: Difference, state: State) -> tuple[bytes | None, int]:
        """What is to stand there. An extra record becomes a tombstone, so that no late update brings it back."""
        if state.want.value is not None:
            return state.want.value, state.want.expires_at_ms
        if found.kind is not Kind.EXTRA or not found.key.startswith(f"{self._contract.key_prefix}:"):
            return None, 0
        # Of garbage no version is known: the smallest lets every row of the source win.
        held = state.held
        version = version_of(held) if held is not None and is_of_the_store(held) else WIRE_VERSION_MIN
        now_us = self._clock.now_us()
        return stored_tombstone(version, now_us), now_us // 1000 + self._contract.tombstone_ttl_s * 1000

    def _send(self, offers: dict[str, tuple[bytes, int]]) -> set[str]:
        """Offer them to the guard, and return the keys that it refused: something newer came."""
        if not offers:
            return set()
        values = {key: value for key, (value, _) in offers.items()}
        expires = {key: expiry for key, (_, expiry) in offers.items() if expiry}
        letters = self._store.offer(values, expires)
        return {key for key, letter in zip(values, letters, strict=True) if letter in (STALE, TIE_STALE)}

    def _replace(self, found: Difference, state: State) -> bool:
        new, expires_at_ms = self._new(found, state)
        return self._store.replace(found.key, state.held, new, expires_at_ms)


def _is_done(found: Difference, state: State) -> bool:
    """True if the key is by now what the plan wants: by an earlier try, or by the stream."""
    if state.is_foreign:
        return False
    if state.held is None or state.want.value is not None:
        return state.held == state.want.value and state.want.is_known
    return found.kind is Kind.EXTRA and is_of_the_store(state.held) and is_tombstone(state.held)


def _count(result: PartResult, found: Difference) -> None:
    result.repaired[found.kind] = result.repaired.get(found.kind, 0) + 1
