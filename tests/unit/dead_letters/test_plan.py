"""What a plan says of each letter, by the contract's rules and against a store."""

from __future__ import annotations

import pytest

from instrument_cache.change import ChangeDecoder
from instrument_cache.clock import FakeClock
from instrument_cache.contract import Contract
from instrument_cache.dead_letters import plan as planning
from instrument_cache.dead_letters.audit import Mark, State
from instrument_cache.dead_letters.budget import Budget
from instrument_cache.dead_letters.heal import newest_record
from instrument_cache.dead_letters.letter import DeadLetter
from instrument_cache.dead_letters.outcome import ReplayOutcome
from instrument_cache.dead_letters.patch import RecordPatch
from instrument_cache.dead_letters.plan import Plan, Planner
from instrument_cache.store.memory import MemoryStore
from tests.unit.dead_letters.letters import APPLE, MICROSOFT, NOW_US, V, delete, letter, put

KEY = f"instr:{APPLE}"


class Desk:
    """A planner with a clock that stands still and a store in memory."""

    def __init__(self, contract: Contract) -> None:
        self.clock, self.contract = FakeClock(), contract
        self.store = MemoryStore(self.clock)

    def hold(self, value: bytes) -> None:
        change = ChangeDecoder(self.contract, self.clock).decode(value)
        self.store.offer({self.contract.redis_key(change.key): change.stored})

    def plan(
        self,
        *letters: DeadLetter,
        patch: RecordPatch | None = None,
        budget: Budget | None = None,
        marks: dict[str, Mark] | None = None,
        again: bool = False,
    ) -> Plan:
        decoder = ChangeDecoder(self.contract, self.clock)
        planner = Planner(self.contract, self.store, decoder, patch, self.clock)
        return planner.plan(letters, marks or {}, budget or Budget(), again)


@pytest.fixture
def desk(contract: Contract) -> Desk:
    return Desk(contract)


def outcomes(plan: Plan) -> list[str]:
    return [str(line.outcome) for line in plan.lines]


def test_a_record_that_keeps_the_rules_now_would_be_applied(desk: Desk) -> None:
    plan = desk.plan(letter(0, put(APPLE)))
    assert outcomes(plan) == ["applied"]
    assert [planned.value for planned in plan.to_write.values()] == [put(APPLE)]
    assert (plan.lines[0].key, plan.lines[0].detail) == (APPLE, "the store holds nothing")


@pytest.mark.parametrize(
    ("held", "value", "outcome", "detail"),
    [
        (put(APPLE, V), put(APPLE, V), "duplicate", "exactly this"),
        (put(APPLE, V + 1), put(APPLE, V), "stale", f"version {V + 1}"),
        (delete(APPLE, V), put(APPLE, V), "stale", f"version {V}"),
        (put(APPLE, V), put(APPLE, V + 1), "applied", f"version {V}"),
        (put(APPLE, V), delete(APPLE, V), "applied", f"version {V}"),
    ],
)
def test_the_store_decides_as_its_guard_would(desk: Desk, held: bytes, value: bytes, outcome: str, detail: str) -> None:
    desk.hold(held)
    plan = desk.plan(letter(0, value))
    assert outcomes(plan) == [outcome]
    assert detail in plan.lines[0].detail
    assert len(plan.to_write) == (outcome == "applied")


def test_what_is_not_of_the_store_is_replaced(desk: Desk) -> None:
    desk.store.offer({KEY: b"~garbage, larger than any value"})
    assert outcomes(desk.plan(letter(0, put(APPLE)))) == ["applied"]


def test_what_still_breaks_a_rule_says_which(desk: Desk) -> None:
    plan = desk.plan(letter(0, b"{broken"), letter(1, put("037833101")), letter(2, put(APPLE, x="y" * 100_000)))
    assert outcomes(plan) == ["rejected"] * 3
    assert [line.detail.split(":")[0] for line in plan.lines] == ["malformed_json", "invalid_cusip", "too_large"]
    assert plan.to_write == {}


def test_a_version_in_the_future_becomes_valid_by_waiting(desk: Desk) -> None:
    ahead = letter(0, put(APPLE, NOW_US + 3_600_000_000), code="version_in_future")
    plan = desk.plan(ahead)
    assert outcomes(plan) == ["rejected"]
    assert plan.lines[0].detail.endswith("; valid from 2025-11-20T22:16:40+00:00")
    desk.clock.advance(3_600)
    assert outcomes(desk.plan(ahead)) == ["applied"]


def test_of_one_key_only_the_newest_is_written(desk: Desk) -> None:
    values = [put(APPLE, V), put(APPLE, V + 2), put(APPLE, V + 1), put(APPLE, V + 2)]
    plan = desk.plan(*(letter(at, value) for at, value in enumerate(values)))
    assert outcomes(plan) == ["superseded", "applied", "superseded", "superseded"]
    assert [planned.value for planned in plan.to_write.values()] == [values[1]]
    assert plan.bytes_to_write == len(values[1])


def test_foreign_records_and_canaries_are_not_replayed(desk: Desk) -> None:
    plan = desk.plan(
        letter(0, put(APPLE), code="foreign"),
        letter(1, put(APPLE), key=b"~canary-3"),
        letter(2, b'{"op":"canary","version":%d,"record":{}}' % V),
    )
    assert outcomes(plan) == ["foreign"] * 3


def test_a_patch_is_applied_before_the_rules(desk: Desk) -> None:
    patch = RecordPatch(
        [
            {"op": "test", "path": "/record/cusip", "value": "wrong"},
            {"op": "replace", "path": "/record/cusip", "value": APPLE},
        ]
    )
    plan = desk.plan(letter(0, put("wrong")), letter(1, put(MICROSOFT)), letter(2, b"{broken"), patch=patch)
    assert outcomes(plan) == ["applied", "unpatchable", "unpatchable"]
    assert plan.lines[0].key == APPLE
    assert "does not fit" in plan.lines[1].detail
    assert "not JSON" in plan.lines[2].detail


def test_the_limit_leaves_the_rest_for_later(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    letters = [letter(0, b"{broken"), *(letter(at, put(cusip)) for at, cusip in enumerate((APPLE, MICROSOFT), 1))]
    plan = desk.plan(*letters, *letters[1:], budget=Budget(count_max=1))
    assert (outcomes(plan), plan.left) == (["rejected", "applied"], 3)
    monkeypatch.setattr(planning, "PLANNED_BYTES_MAX", 1)
    assert desk.plan(*letters).left == 1
    monkeypatch.setattr(planning, "LETTERS_MAX", 1)
    assert desk.plan(*letters).left == 2


def test_what_was_replayed_is_passed_over_unless_asked_for_again(desk: Desk) -> None:
    letters = [letter(0, put(APPLE)), letter(1, put(MICROSOFT))]
    marks = {
        letters[0].identity: Mark(State.REPLAYED, "r", ReplayOutcome.APPLIED),
        letters[1].identity: Mark(State.UNFINISHED, "r", ReplayOutcome.UNKNOWN),
    }
    plan = desk.plan(*letters, marks=marks)
    assert ([line.position for line in plan.lines], plan.replayed) == (["instruments-0-1"], 1)
    assert len(desk.plan(*letters, marks=marks, again=True).lines) == 2


def test_a_tombstone_whose_time_is_over_is_not_written(desk: Desk) -> None:
    desk.clock.advance(desk.contract.tombstone_ttl_s + 60)
    fresh = desk.clock.now_us()
    assert outcomes(desk.plan(letter(0, delete(APPLE), time_us=fresh))) == ["expired"]


def test_a_letter_older_than_the_longest_replay_is_not_written(desk: Desk) -> None:
    days = desk.contract.replay_s_max // 86_400
    desk.clock.advance(desk.contract.replay_s_max)
    assert outcomes(desk.plan(letter(0, put(APPLE)))) == ["applied"]
    desk.clock.advance(1)
    (line,) = desk.plan(letter(0, put(APPLE))).lines
    assert (line.outcome, f"older than {days} days" in line.detail) == ("expired", True)


@pytest.mark.parametrize(
    "value", [put(APPLE, V, name="Äpfel", pme="P-1", unknown=[1]), delete(APPLE, V, V + 5), delete(APPLE, V, 0)]
)
def test_the_newest_state_can_be_written_again_as_a_record(desk: Desk, value: bytes) -> None:
    desk.hold(value)
    (held,) = desk.store.get_many([KEY])
    assert held is not None
    again = ChangeDecoder(desk.contract, desk.clock).decode(newest_record(held, APPLE, desk.contract))
    assert (again.key, again.stored) == (APPLE, held)
