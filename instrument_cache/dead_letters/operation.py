"""A replay as an operation: planned, approved if it is large, carried out, reported. The DAG calls this."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec

from instrument_cache.connections import redis_client
from instrument_cache.dead_letters.budget import Budget
from instrument_cache.dead_letters.letter_filter import LetterFilter
from instrument_cache.dead_letters.outcome import SETTLED, LetterOutcome
from instrument_cache.dead_letters.patch import RecordPatch
from instrument_cache.dead_letters.replay import ReplayRequest
from instrument_cache.dead_letters.service import DeadLetters
from instrument_cache.errors import DeadLetterError
from instrument_cache.reports import Report, publish
from instrument_cache.settings import Environment, redis_url

OPERATION: Final = "dead_letter_replay"
_SAMPLES: Final = 20
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
Tell = Callable[[int, int], None]


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What the form asks for. Times are ISO 8601; empty: open. More than `approve_above` records need an approval."""

    run_id: str
    who: str
    started_at: str
    codes: list[str] = []
    keys: list[str] = []
    since: str = ""
    until: str = ""
    patch: list[dict[str, Any]] | None = None
    count_max: int = 1000
    rate_per_s: float = 100.0
    approve_above: int = 100
    again: bool = False
    dry_run: bool = False

    def request(self) -> ReplayRequest:
        """Raises DeadLetterError for what contradicts itself."""
        wanted = LetterFilter(
            frozenset(self.codes), frozenset(self.keys), since_us=_us(self.since), until_us=_us(self.until)
        )
        patch = RecordPatch(self.patch) if self.patch is not None else None
        return ReplayRequest(self.who, wanted, Budget(self.count_max, self.rate_per_s), patch, self.again)


class Planned(msgspec.Struct, frozen=True):
    """What a replay would do, as the store was when it was planned. `asked` ends at that moment: no letter that came
    later is taken. `left`: letters beyond the limit; `reasons`: why a person is asked, nothing if empty."""

    asked: Asked
    to_write: int
    counts: dict[str, int]
    left: int
    replayed: int
    samples: list[LetterOutcome]
    reasons: list[str]

    @property
    def sentence(self) -> str:
        """One line for people."""
        beyond = f"; {self.left} more are beyond the limit" if self.left else ""
        return f"{self.to_write} records would be written; of the letters: {_text(self.counts)}{beyond}"


class Done(msgspec.Struct, frozen=True):
    """What a replay came to."""

    replay_id: str
    status: str
    error: str
    counts: dict[str, int]
    left_open: int


class ReplayOperation:
    """Methods raise LogUnavailable, StoreUnavailable, ObjectStoreUnavailable; all can be done again."""

    def __init__(self, env: Environment | None = None) -> None:
        """Raises SettingsError, ContractError."""
        self.letters = DeadLetters(env)

    def plan(self, asked: Asked) -> Planned:
        """Judge every letter; nothing is written. Raises DeadLetterError."""
        asked = msgspec.structs.replace(asked, until=asked.until or datetime.now(UTC).isoformat())
        plan = self.letters.plan(asked.request())
        count = len(plan.to_write)
        large = f"{count} records would be written; more than {asked.approve_above} need an approval"
        return Planned(
            asked=asked,
            to_write=count,
            counts=plan.counts,
            left=plan.left,
            replayed=plan.replayed,
            samples=plan.lines[:_SAMPLES],
            reasons=[large] if count > asked.approve_above and not asked.dry_run else [],
        )

    def replay(self, planned: Planned, tell: Tell = lambda written, settled: None) -> Done:
        """Write no more records than were planned, wait, and tell what became of each. A dry run writes nothing.

        Letters that an earlier try has settled are passed over, so that it can be done again.
        """
        if planned.asked.dry_run or not planned.to_write:
            return Done("", "nothing to write" if not planned.asked.dry_run else "dry run", "", planned.counts, 0)
        asked = msgspec.structs.replace(planned.asked, count_max=planned.to_write)
        request = asked.request()
        result = self.letters.replay(request, self.letters.plan(request)).run(tell)
        left_open = sum(letter.outcome not in SETTLED for letter in result.letters)
        return Done(result.replay_id, result.status, result.error, result.counts, left_open)

    def publish(self, planned: Planned, done: Done | None) -> Report:
        """Publish the report; `done` is None if the replay was refused."""
        asked, counts = planned.asked, done.counts if done else planned.counts
        report = Report(
            dataset=self.letters.dataset,
            operation=OPERATION,
            run_id=asked.run_id,
            started_at=asked.started_at,
            finished_at=datetime.now(UTC).isoformat(timespec="seconds"),
            ok=done is None or (not done.error and not done.left_open),
            sentence=_sentence(planned, done),
            numbers={"planned": planned.to_write, "left": planned.left, **{k: float(v) for k, v in counts.items()}},
            details={
                "asked": msgspec.to_builtins(asked),
                "replay": done.replay_id if done else "",
                "status": done.status if done else "refused",
                "planned": planned.counts,
                "samples": msgspec.to_builtins(planned.samples),
            },
        )
        publish(self.letters.objects, redis_client(redis_url(self.letters.env), name="dead-letters"), report)
        return report


def _sentence(planned: Planned, done: Done | None) -> str:
    if done is None:
        return f"refused: {planned.sentence}"
    if planned.asked.dry_run:
        return f"dry run: {planned.sentence}"
    if done.error:
        return f"the replay {done.replay_id} is {done.status}: {done.error}"
    left_open = f"; {done.left_open} letters are left open" if done.left_open else ""
    return f"of the letters: {_text(done.counts)}{left_open}"


def _text(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in Counter(counts).most_common()) or "none"


def _us(text: str) -> int | None:
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise DeadLetterError(f"{text!r} is no time; write it as 2025-11-21T18:00:00Z") from None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return (moment - _EPOCH) // timedelta(microseconds=1)
