"""What a replay would do to each letter, judged by the rules and against the store as they are now.

Only a record that the store would take is written. An older one is worse than useless: the change topic is compacted
and keeps the last record of a key, so that the older would outlive the newer one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from instrument_cache.canary import is_canary
from instrument_cache.change import VERSION_AT, Change, ChangeDecoder, version_of
from instrument_cache.clock import Clock, SystemClock
from instrument_cache.contract import Contract
from instrument_cache.dead_letters.audit import Mark, State
from instrument_cache.dead_letters.budget import LETTERS_MAX, PLANNED_BYTES_MAX, Budget
from instrument_cache.dead_letters.letter import DeadLetter, key_text, peek
from instrument_cache.dead_letters.outcome import LetterOutcome, ReplayOutcome
from instrument_cache.dead_letters.patch import RecordPatch
from instrument_cache.errors import DeadLetterError, RejectedChange
from instrument_cache.store.interface import VersionedStore

_CANARY: Final = "a canary of the feed, which writes a new one each second"
_CHUNK_LETTERS: Final = 500
_CHUNK_BYTES: Final = 32_000_000


@dataclass(slots=True)
class PlannedLetter:
    """A letter's line of the plan and, if its record would be applied, the change and the bytes to write."""

    line: LetterOutcome
    change: Change | None = None
    value: bytes = b""

    def settle(self, outcome: ReplayOutcome, detail: str) -> None:
        """Its outcome; what is not to be written is not kept."""
        self.line.outcome, self.line.detail = outcome, detail
        if outcome is not ReplayOutcome.APPLIED:
            self.value = b""


@dataclass(slots=True)
class Plan:
    """The letters that were looked at. `left`: how many more match; `replayed`: how many were passed over as done."""

    letters: list[PlannedLetter] = field(default_factory=list)
    to_write: dict[str, PlannedLetter] = field(default_factory=dict)  # by Redis key: one record per key
    left: int = 0
    replayed: int = 0
    bytes_to_write: int = 0

    @property
    def lines(self) -> list[LetterOutcome]:
        return [letter.line for letter in self.letters]

    @property
    def counts(self) -> dict[str, int]:
        """Outcome → letters."""
        return dict(Counter(str(line.outcome) for line in self.lines).most_common())

    def is_full(self, budget: Budget) -> bool:
        full = len(self.to_write) >= budget.count_max or self.bytes_to_write >= PLANNED_BYTES_MAX
        return full or len(self.letters) >= LETTERS_MAX

    def write(self, key: str, letter: PlannedLetter) -> None:
        """Have a letter's record written, in place of an older one of the same Redis key."""
        if (rival := self.to_write.get(key)) is not None:
            self.bytes_to_write -= len(rival.value)
            rival.settle(ReplayOutcome.SUPERSEDED, f"{letter.line.position} is newer")
        self.to_write[key] = letter
        self.bytes_to_write += len(letter.value)


class Planner:
    """Judges letters of one dataset as the job would."""

    def __init__(
        self,
        contract: Contract,
        store: VersionedStore,
        decoder: ChangeDecoder,
        patch: RecordPatch | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._contract, self._store, self._decoder = contract, store, decoder
        self._patch = patch
        self._clock = clock or SystemClock()
        days = contract.replay_s_max // 86_400
        self._too_old = f"its letter is older than {days} days, the longest replay: its deletion may be forgotten"

    def plan(self, letters: Iterable[DeadLetter], marks: Mapping[str, Mark], budget: Budget, again: bool) -> Plan:
        """Raises StoreUnavailable. Letters that a replay has settled are passed over unless `again`."""
        self._decoder.start_batch()
        plan = Plan()
        for chunk in _chunks(_open(letters, marks, again, plan), budget):
            if plan.is_full(budget):
                plan.left += len(chunk)
            else:
                self._add(chunk, plan, budget)
        return plan

    def _add(self, chunk: list[DeadLetter], plan: Plan, budget: Budget) -> None:
        judged = [self._judge(letter) for letter in chunk]
        held = self._held(judged)
        for at, planned in enumerate(judged):
            if plan.is_full(budget):
                plan.left += len(judged) - at
                return
            plan.letters.append(planned)
            if planned.change is not None:
                self._compare(planned, planned.change, held, plan)

    def _held(self, judged: list[PlannedLetter]) -> dict[str, bytes | None]:
        return held_by(self._store, {self._contract.redis_key(p.change.key) for p in judged if p.change is not None})

    def _judge(self, letter: DeadLetter) -> PlannedLetter:
        """By the rules alone; with a change if it keeps them."""
        key = key_text(letter, self._contract.key.name)
        line = LetterOutcome(letter.position, letter.identity, letter.code, key, ReplayOutcome.FOREIGN, letter.reason)
        if letter.is_foreign:
            return PlannedLetter(line)
        if is_canary((key or "").encode()):
            line.detail = _CANARY
            return PlannedLetter(line)
        if letter.time_us < self._clock.now_us() - self._contract.replay_s_max * 1_000_000:
            line.outcome, line.detail = ReplayOutcome.EXPIRED, self._too_old
            return PlannedLetter(line)
        try:
            value = self._patch.apply(letter.value) if self._patch else letter.value
            change = self._decoder.decode(value)
        except DeadLetterError as error:
            line.outcome, line.detail = ReplayOutcome.UNPATCHABLE, str(error)
        except RejectedChange as error:
            line.outcome, line.detail = ReplayOutcome.REJECTED, str(error) + self._valid_from(error.code, value)
        else:
            if not change.key:
                line.detail = _CANARY
                return PlannedLetter(line)
            line.key, line.outcome, line.detail = change.key, ReplayOutcome.APPLIED, ""
            return PlannedLetter(line, change, value)
        return PlannedLetter(line)

    def _valid_from(self, code: str, value: bytes) -> str:
        """A version that is too far ahead becomes valid by waiting."""
        if code != "version_in_future":
            return ""
        version = peek(value).version
        from_us = version - self._contract.version_ahead_s_max * 1_000_000 if isinstance(version, int) else 0
        return f"; valid from {datetime.fromtimestamp(from_us // 1_000_000, UTC).isoformat()}"

    def _compare(self, planned: PlannedLetter, change: Change, held: Mapping[str, bytes | None], plan: Plan) -> None:
        """With the store, and with the letters before it in the plan."""
        key = self._contract.redis_key(change.key)
        stored, rival = held[key], plan.to_write.get(key)
        if 0 < change.expires_at_ms <= self._clock.now_us() // 1000:
            planned.settle(ReplayOutcome.EXPIRED, "its time to live is over")
        elif stored == change.stored:
            planned.settle(ReplayOutcome.DUPLICATE, "the store holds exactly this")
        elif stored is not None and stored > change.stored:
            planned.settle(ReplayOutcome.STALE, f"the store holds version {version_of(stored)}")
        elif rival is not None and rival.change is not None and rival.change.stored >= change.stored:
            planned.settle(ReplayOutcome.SUPERSEDED, f"{rival.line.position} is as new or newer")
        else:
            planned.line.detail = f"the store holds {f'version {version_of(stored)}' if stored else 'nothing'}"
            plan.write(key, planned)


def held_by(store: VersionedStore, keys: Collection[str]) -> dict[str, bytes | None]:
    """Redis key → the bytes that a change is compared with; None for what the guard would replace in any case."""
    names = list(keys)
    return {
        key: stored if _is_versioned(stored) else None for key, stored in zip(names, store.get_many(names), strict=True)
    }


def _is_versioned(stored: bytes | None) -> bool:
    version = (stored or b"")[VERSION_AT]
    return len(version) == VERSION_AT.stop - VERSION_AT.start and version.isdigit()


def _open(letters: Iterable[DeadLetter], marks: Mapping[str, Mark], again: bool, plan: Plan) -> Iterator[DeadLetter]:
    for letter in letters:
        mark = marks.get(letter.identity)
        if again or mark is None or mark.state is not State.REPLAYED:
            yield letter
        else:
            plan.replayed += 1


def _chunks(letters: Iterable[DeadLetter], budget: Budget) -> Iterator[list[DeadLetter]]:
    chunk: list[DeadLetter] = []
    size = 0
    for letter in letters:
        chunk.append(letter)
        size += len(letter.value)
        if len(chunk) >= min(_CHUNK_LETTERS, budget.count_max) or size >= _CHUNK_BYTES:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk
