"""The audit of replays, in S3: what was asked and by whom before the first record, what became of each at the end.

    audit/{dataset}/replay/{id}/intent.json      written once, before anything is replayed
    audit/{dataset}/replay/{id}/result.json      written once, also when the replay was interrupted

An intent without a result is a replay that was killed. Both are chained on the audit trail.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import Any, Final

import msgspec

from instrument_cache.audit.written import chain_written
from instrument_cache.dead_letters.outcome import SETTLED, LetterOutcome, ReplayOutcome
from instrument_cache.errors import DeadLetterError
from instrument_cache.objects import ObjectStore

INTENT: Final = "intent.json"
RESULT: Final = "result.json"


class State(StrEnum):
    """What replays have done to a letter: nothing, something that was not seen to its end, or all there is to do."""

    OPEN = "open"
    UNFINISHED = "unfinished"
    REPLAYED = "replayed"


class Intent(msgspec.Struct):
    """What a replay is about to do. `identities` are the letters whose records it will write; times are ISO 8601."""

    replay_id: str
    dataset: str
    who: str
    started_at: str
    filter: dict[str, Any]
    patch: list[dict[str, Any]] | None
    count_max: int
    rate_per_s: float
    again: bool
    identities: list[str]


class Result(msgspec.Struct):
    """What it came to. `status` is `complete`, `interrupted` or `failed`; `left` counts letters beyond the limit."""

    replay_id: str
    dataset: str
    finished_at: str
    status: str
    error: str
    counts: dict[str, int]
    left: int
    letters: list[LetterOutcome]


class Mark(msgspec.Struct, frozen=True):
    """What is known of one letter: its state, and the replay and outcome that made it so."""

    state: State
    replay_id: str
    outcome: ReplayOutcome


class ReplayAudit:
    """The audit records of one dataset. Methods raise ObjectStoreUnavailable."""

    def __init__(self, objects: ObjectStore, dataset: str) -> None:
        self._objects = objects
        self._prefix = f"audit/{dataset}/replay/"

    def write_intent(self, intent: Intent) -> None:
        self._write(intent.replay_id, INTENT, intent)

    def write_result(self, result: Result) -> None:
        self._write(result.replay_id, RESULT, result)

    def _write(self, replay_id: str, name: str, document: Intent | Result) -> None:
        key, body = f"{self._prefix}{replay_id}/{name}", msgspec.json.format(msgspec.json.encode(document), indent=1)
        # The answer to an own write may have got lost: then what is there is this document.
        if not self._objects.put_once(key, body) and self._objects.get(key) != body:
            raise DeadLetterError(f"the audit record {key!r} is there already; start the replay anew")
        chain_written(self._objects, document.dataset, key, body)

    def replays(self) -> list[tuple[Intent, Result | None]]:
        """Every replay, the oldest first; without a result it was killed, or is still on its way."""
        names = list(self._objects.keys(self._prefix))
        ids = sorted(name.removeprefix(self._prefix).partition("/")[0] for name in names if name.endswith(f"/{INTENT}"))
        done = set(names)
        return [(self._intent(i), self._result(i) if f"{self._prefix}{i}/{RESULT}" in done else None) for i in ids]

    def marks(self) -> dict[str, Mark]:
        """Identity of a letter → what replays have done to it. What one has settled stays so."""
        found: dict[str, Mark] = {}
        for intent, result in self.replays():
            for identity, mark in _marks(intent, result):
                if identity not in found or found[identity].state is not State.REPLAYED:
                    found[identity] = mark
        return found

    def _intent(self, replay_id: str) -> Intent:
        intent: Intent = self._read(replay_id, INTENT, Intent)
        return intent

    def _result(self, replay_id: str) -> Result:
        result: Result = self._read(replay_id, RESULT, Result)
        return result

    def _read(self, replay_id: str, name: str, kind: type[Any]) -> Any:
        key = f"{self._prefix}{replay_id}/{name}"
        try:
            return msgspec.json.decode(self._objects.get(key), type=kind)
        except msgspec.DecodeError as error:
            raise DeadLetterError(f"the audit record {key!r} is damaged: {error}; restore its first version") from error


def _marks(intent: Intent, result: Result | None) -> Iterator[tuple[str, Mark]]:
    if result is None:
        for identity in intent.identities:
            yield identity, Mark(State.UNFINISHED, intent.replay_id, ReplayOutcome.UNKNOWN)
        return
    for letter in result.letters:
        if letter.outcome in SETTLED:
            yield letter.identity, Mark(State.REPLAYED, intent.replay_id, letter.outcome)
        elif letter.outcome is ReplayOutcome.UNKNOWN:
            yield letter.identity, Mark(State.UNFINISHED, intent.replay_id, letter.outcome)
