"""Carries a plan out: writes the records, waits for what becomes of them, and leaves the audit record."""

from __future__ import annotations

import secrets
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from instrument_cache.clock import Clock, SystemClock
from instrument_cache.contract import Contract
from instrument_cache.dead_letters.audit import Intent, ReplayAudit, Result
from instrument_cache.dead_letters.budget import Budget, paced
from instrument_cache.dead_letters.heal import newest_record
from instrument_cache.dead_letters.letter_filter import LetterFilter
from instrument_cache.dead_letters.outcome import SETTLED, LetterOutcome, ReplayOutcome
from instrument_cache.dead_letters.patch import RecordPatch
from instrument_cache.dead_letters.plan import Plan, PlannedLetter
from instrument_cache.dead_letters.settle import Written, await_settled
from instrument_cache.dead_letters.writer import RecordWriter
from instrument_cache.errors import InstrumentCacheError, StoreUnavailable
from instrument_cache.store.interface import VersionedStore

WAIT_S: Final = 60.0
_REPORTS_S: Final = 2.0
Progress = Callable[[int, int], None]  # records written, records settled


@dataclass(frozen=True, slots=True)
class ReplayRequest:
    """What somebody asks for. `wait_s` bounds the wait for outcomes after the last record is written."""

    who: str
    wanted: LetterFilter
    budget: Budget
    patch: RecordPatch | None = None
    again: bool = False
    wait_s: float = WAIT_S


class Replay:
    """One replay of a plan; `run` it once."""

    def __init__(
        self,
        bootstrap: str,
        contract: Contract,
        store: VersionedStore,
        audit: ReplayAudit,
        request: ReplayRequest,
        plan: Plan,
        clock: Clock | None = None,
    ) -> None:
        self._contract, self._store, self._audit = contract, store, audit
        self._request, self._plan, self._clock = request, plan, clock or SystemClock()
        self._writer = RecordWriter(bootstrap, contract.dataset)
        self._settled = 0
        self.replay_id = f"{self._now():%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}"

    def run(self, progress: Progress = lambda written, settled: None) -> Result:
        """Write, wait, and tell, also when it was interrupted (KeyboardInterrupt) or Kafka or Redis went away.

        Raises ObjectStoreUnavailable: from the intent, and then nothing was written; or from the result, and then the
        letters are left as unfinished.
        """
        self._audit.write_intent(self._intent())
        self._await_turn()
        try:
            self._write(progress)
            self._settle(progress)
        except KeyboardInterrupt:
            return self._finish("interrupted", "stopped by hand")
        except InstrumentCacheError as error:
            return self._finish("failed", str(error))
        except BaseException as error:
            self._finish("failed", repr(error))
            raise
        return self._finish("complete", "")

    def _await_turn(self) -> None:
        for letter in self._plan.to_write.values():
            letter.line.outcome = ReplayOutcome.NOT_REACHED

    def _write(self, progress: Progress) -> None:
        letters = self._plan.to_write.items()
        for count, (key, letter) in enumerate(paced(letters, self._request.budget.rate_per_s), 1):
            letter.line.outcome = ReplayOutcome.UNKNOWN
            self._writer.write(key, _kafka_key(letter), letter.value)
            progress(count, 0)
        self._writer.flush()

    def _settle(self, progress: Progress) -> None:
        """The outcome of each record; and the newest state again behind each that was overtaken."""
        deadline_s = time.monotonic() + self._request.wait_s
        written = self._written(self._plan.to_write)
        overtaken = {}
        for key, outcome, held in await_settled(self._store, written, deadline_s):
            self._note(self._plan.to_write[key], outcome)
            self._settled += 1
            progress(len(written), self._settled)
            if outcome is ReplayOutcome.STALE and held is not None:
                overtaken[key] = held
        self._heal(overtaken)

    def _note(self, letter: PlannedLetter, outcome: ReplayOutcome) -> None:
        letter.line.outcome = outcome
        if outcome is ReplayOutcome.STALE:
            letter.line.detail = "something newer came in meanwhile"
        elif outcome is ReplayOutcome.REJECTED:
            letter.line.detail = "the job did not store it: the new dead letter of the written record says why"

    def _heal(self, overtaken: dict[str, bytes]) -> None:
        """Raises StoreUnavailable if newer changes come faster than they can be put last."""
        deadline_s = time.monotonic() + self._request.wait_s
        while overtaken:
            for key, held in overtaken.items():
                identifier = _kafka_key(self._plan.to_write[key])
                self._writer.write(key, identifier, newest_record(held, identifier, self._contract))
            self._writer.flush()
            put_last = {key: Written(held, *self._writer.placed[key]) for key, held in overtaken.items()}
            outcomes = await_settled(self._store, put_last, deadline_s)
            seen = {key: (outcome, held) for key, outcome, held in outcomes}
            if missing := put_last.keys() - seen.keys():
                raise StoreUnavailable(f"the newest state of {len(missing)} keys was not seen behind their replay")
            overtaken = {key: held for key, (outcome, held) in seen.items() if outcome is ReplayOutcome.STALE and held}

    def _written(self, letters: Mapping[str, PlannedLetter]) -> dict[str, Written]:
        found = {}
        for key, letter in letters.items():
            if letter.change is not None and key in self._writer.placed:
                partition, offset = self._writer.placed[key]
                found[key] = Written(letter.change.stored, partition, offset)
                letter.line.written_at = f"{self._contract.dataset}-{partition}-{offset}"
        return found

    def _finish(self, status: str, error: str) -> Result:
        if status != "complete":
            self._writer.await_reports(_REPORTS_S)
            self._written({key: letter for key, letter in self._plan.to_write.items() if not letter.line.written_at})
        self._settle_superseded()
        result = self._result(status, error)
        self._audit.write_result(result)
        return result

    def _settle_superseded(self) -> None:
        """A letter that stepped back for a newer one is done only if that one is."""
        for letter in self._plan.letters:
            if letter.line.outcome is ReplayOutcome.SUPERSEDED and letter.change is not None:
                rival = self._plan.to_write[self._contract.redis_key(letter.change.key)]
                if rival.line.outcome not in SETTLED:
                    letter.line.outcome = ReplayOutcome.NOT_REACHED

    def _intent(self) -> Intent:
        request = self._request
        return Intent(
            replay_id=self.replay_id,
            dataset=self._contract.dataset,
            who=request.who,
            started_at=self._now().isoformat(),
            filter=request.wanted.as_json(),
            patch=request.patch.operations if request.patch else None,
            count_max=request.budget.count_max,
            rate_per_s=request.budget.rate_per_s,
            again=request.again,
            identities=[letter.line.identity for letter in self._plan.to_write.values()],
        )

    def _result(self, status: str, error: str) -> Result:
        lines: list[LetterOutcome] = self._plan.lines
        return Result(
            replay_id=self.replay_id,
            dataset=self._contract.dataset,
            finished_at=self._now().isoformat(),
            status=status,
            error=error,
            counts=dict(Counter(str(line.outcome) for line in lines)),
            left=self._plan.left,
            letters=lines,
        )

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock.now_us() / 1_000_000, UTC)


def _kafka_key(letter: PlannedLetter) -> str:
    assert letter.change is not None, "only valid changes are written"
    return letter.change.key
