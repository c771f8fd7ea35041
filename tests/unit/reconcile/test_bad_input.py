"""What a broken source, a failing store and other people's keys do to a run: nothing that was not approved."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

import pytest

from instrument_cache.change import is_tombstone, stored_tombstone, stored_value, version_of
from instrument_cache.clock import FakeClock
from instrument_cache.contract import Contract
from instrument_cache.epoch import Epoch
from instrument_cache.errors import ReconcileError, SourceUnavailable, StoreUnavailable
from instrument_cache.reconcile.compare import Before
from instrument_cache.reconcile.model import Kind
from instrument_cache.reconcile.plan import PART_DIFFERENCES_MAX, Order
from instrument_cache.source.interface import Put, SnapshotEnd, SourceEvent
from instrument_cache.source.memory import MemorySource
from local_stack.synthetic import synthetic_cusip
from tests.unit.reconcile.world import World, with_ttl

ROWS = 60


def key(number: int) -> str:
    return f"instr:{synthetic_cusip(number)}"


@pytest.fixture
def world(contract: Contract) -> World:
    made = World(contract)
    made.fill(ROWS)
    return made


def everything(world: World) -> dict[str, bytes]:
    return dict(world.store.scan("instr")) | dict(world.store.scan("pme"))


class CutSource(MemorySource):
    """Breaks its snapshot off in the way that `how` says."""

    def __init__(self, whole: MemorySource, how: str) -> None:
        super().__init__()
        self._whole, self._how = whole, how

    def snapshot(self) -> Iterator[SourceEvent]:
        if self._how == "away":
            raise SourceUnavailable("nobody answers")
        for at, event in enumerate(self._whole.snapshot()):
            if self._how == "no end" and isinstance(event, SnapshotEnd):
                return
            if self._how == "broken" and at == 20:
                raise SourceUnavailable("it broke off")
            if not (self._how == "a row less" and at == 7):
                yield event

    def rows(self, keys: Sequence[str]) -> list[Put | None]:
        return self._whole.rows(keys)


@pytest.mark.parametrize("how", ["away", "no end", "broken", "a row less"])
def test_a_source_that_is_cut_short_ends_the_run_without_a_plan(world: World, how: str) -> None:
    before = everything(world)
    world.source = CutSource(world.source, how)
    with pytest.raises(SourceUnavailable):
        world.compare()
    assert world.plans().load() is None
    assert everything(world) == before


def test_an_empty_source_is_never_believed_without_a_person(world: World) -> None:
    world.source = MemorySource(clock=world.clock)
    plan = world.compare(Order(shards=4, budget=10**6, lost_percent_max=100))
    assert plan.kinds["extra"] == ROWS
    assert [reason.partition(":")[0] for reason in plan.reasons] == [
        f"the source is empty, the cache holds {2 * ROWS} keys"
    ]


def test_a_source_of_half_its_rows_is_stopped_by_what_was_there_and_by_what_is_cached(world: World) -> None:
    world.lag = 0
    rows = [event for event in world.source.snapshot() if isinstance(event, Put)]
    world.source = MemorySource(clock=world.clock)
    world.source.publish([put.payload for put in rows[::2]])
    plan = world.compare(before=Before(trusted_rows=ROWS))
    assert len(plan.reasons) == 2
    assert plan.reasons[0].startswith(f"the source lost 50% of its {ROWS} rows")
    assert plan.reasons[1].startswith(f"{ROWS} of {2 * ROWS} cached keys would be removed")


def test_a_few_lost_rows_need_nobody(world: World) -> None:
    plan = world.compare(before=Before(trusted_rows=ROWS + 3))
    assert (plan.reasons, plan.parts) == ([], 0)


def test_above_the_budget_it_asks(world: World) -> None:
    for number in range(5):
        world.store.lose(key(number))
    assert world.compare(Order(budget=5)).reasons == []
    assert world.compare(Order(budget=4), run_id="run-2").reasons == ["5 repairs are more than the budget of 4"]


def test_while_an_epoch_is_pinned_it_asks(world: World) -> None:
    pinned = Epoch(number=3, backup="b-1", pinned=True)
    assert world.compare(epoch=pinned, run_id="run-1").reasons == []
    world.store.lose(key(1))
    assert "epoch 3 is pinned to the backup 'b-1'" in world.compare(epoch=pinned, run_id="run-2").reasons[0]


def test_ten_thousand_differences_come_in_parts_and_are_all_repaired(contract: Contract) -> None:
    world = World(contract, lag=0)
    world.source.publish(
        [b'{"cusip":"%b","last_updated":%d}' % (synthetic_cusip(at).encode(), 10**15 + at) for at in range(12_000)]
    )
    plan = world.compare(Order(shards=4))
    assert (plan.kinds["missing"], plan.parts) == (12_000, 2)
    assert plan.reasons == ["12,000 repairs are more than the budget of 1,000"]
    results = world.repair(plan)
    assert [sum(result.repaired.values()) for result in results] == [PART_DIFFERENCES_MAX, 2_000]
    assert world.compare(run_id="run-2").parts == 0


def test_keys_of_others_are_never_touched(world: World) -> None:
    others = {"issuer:X": b"theirs", "instrument:1": b"x", "instr": b"y", "pme": b"z", "account:instruments:0": b"a"}
    for name, value in others.items():
        world.store.plant(name, value)
    world.source = MemorySource(clock=world.clock)
    world.repair(world.compare())
    assert {name: world.store.get_many([name])[0] for name in others} == others


@pytest.mark.parametrize("seed", range(5))
def test_a_repair_that_is_killed_anywhere_and_tried_again_ends_the_same(contract: Contract, seed: int) -> None:
    world = World(contract, seed)
    world.fill(ROWS)
    for number in range(0, ROWS, 3):
        world.store.plant(key(number), b"garbage")
        world.store.lose(key(number + 1))
        world.store.plant(f"pme:PME{number + 2:09}", b"garbage")
    plan = world.compare()
    left = world.chance.randrange(1, ROWS)

    class Dying(type(world.store)):  # type: ignore[misc]
        def replace(self, *arguments: object) -> bool:
            nonlocal left
            left -= 1
            if left == 0:
                raise StoreUnavailable("killed")
            return bool(super().replace(*arguments))

    whole = world.store
    whole.__class__ = Dying
    try:
        world.repair(plan)
    except StoreUnavailable:
        world.repair(plan)
    assert everything(world) == world.expected()
    assert sum(sum(result.repaired.values()) for result in world.plans().results()) == ROWS


def test_a_source_that_changed_content_without_a_version_is_followed(world: World) -> None:
    [smaller, larger] = [world.row(900 + at, last_updated=10**15, name=name) for at, name in enumerate("az")]
    for row in (smaller, larger):
        world.publish(row)
    world.apply()
    # The cache keeps the larger bytes of one version; the source keeps what it was given last.
    world.publish({**smaller, "name": "z"}, {**larger, "name": "a"})
    world.apply()
    plan = world.compare()
    assert world.found(plan) == {key(901): Kind.CORRUPT}
    world.repair(plan)
    assert everything(world) == world.expected()


def test_what_moved_after_the_plan_is_left_alone(world: World) -> None:
    for number in range(4):
        world.store.plant(key(number), b"garbage")
    plan = world.compare()
    world.store.plant(key(0), b"other garbage")
    world.publish(world.row(1))
    world.delete(synthetic_cusip(2))
    [result] = world.repair(plan)
    held = world.store.get_many([key(number) for number in range(4)])
    assert held[:3] == [b"other garbage", b"garbage", b"garbage"]
    assert held[3] == world.expected()[key(3)]
    assert (result.repaired, result.moved) == ({"corrupt": 1}, 3)


def test_an_extra_record_becomes_a_tombstone_that_older_changes_do_not_undo(world: World) -> None:
    version = world.clock.now_us()
    stored = stored_value(version, b'{"cusip":"%b"}' % synthetic_cusip(700).encode())
    world.store.plant(key(700), stored)
    world.store.make_list(key(701))
    world.repair(world.compare())
    first, second = world.store.get_many([key(700), key(701)])
    assert first is not None
    assert second is not None
    assert (is_tombstone(first), version_of(first)) == (True, version)
    assert world.store.offer({key(700): stored}) == "s"
    assert (is_tombstone(second), version_of(second)) == (True, 10**15), "every row of the source wins"
    assert world.compare(run_id="run-2").parts == 0


def test_what_has_outlived_its_time_is_removed_and_what_is_about_to_end_is_left(contract: Contract) -> None:
    world = World(with_ttl(contract, 3600), lag=0)
    world.fill(3)
    kept = everything(world)
    for held_key, value in kept.items():
        world.store.plant(held_key, value)  # without its expiry
    world.clock.advance(3600)
    assert world.compare(run_id="near").parts == 0
    world.clock.advance(3600)
    plan = world.compare(run_id="late")
    assert world.found(plan) == dict.fromkeys(kept, Kind.EXPIRED)
    world.repair(plan)
    assert everything(world) == {}


def test_a_row_that_the_stream_rejects_is_no_difference(world: World) -> None:
    before = everything(world)
    world.publish({**world.row(5), "pme": "not a PME id " * 10}, world.row(6, cusip="bad"))
    world.apply()
    plan = world.compare()
    assert (plan.parts, plan.counts.rejected_rows) == (0, 2)
    assert everything(world) == before


def test_a_tombstone_of_a_row_that_the_source_has_is_replaced(world: World) -> None:
    [held] = world.store.get_many([key(8)])
    assert held is not None
    world.store.offer({key(8): stored_tombstone(version_of(held), world.clock.now_us())})
    plan = world.compare()
    assert world.found(plan) == {key(8): Kind.MISSING}
    world.repair(plan)
    assert world.store.get_many([key(8)]) == [held]


def test_of_two_records_with_one_alias_the_newer_has_it_and_the_other_gets_it_back(world: World) -> None:
    world.publish(world.row(10, pme="PME000000011"))
    world.apply()
    assert world.compare(run_id="both").parts == 1, "the alias that 10 gave up leads nowhere"
    world.repair(world.compare(run_id="both"))
    assert world.compare(run_id="swept").parts == 0
    world.publish(world.row(10, pme="PME000000010"))
    world.apply()
    plan = world.compare(run_id="back")
    assert world.found(plan) == {"pme:PME000000011": Kind.WRONG_ALIAS}
    world.repair(plan)
    assert everything(world) == world.expected()


@pytest.mark.parametrize(("name", "value"), [("budget", -1), ("shards", 0), ("effort_percent", 0), ("grace_s", 1)])
def test_an_order_that_makes_no_sense_is_refused(name: str, value: int) -> None:
    with pytest.raises(ReconcileError, match=f"{name} is {value}; it must be from"):
        Order(**{name: value})  # type: ignore[arg-type]


def test_another_contract_has_its_own_keys(world: World, contract: Contract) -> None:
    other = dataclasses.replace(contract, dataset="others", key_prefix="other", aliases=())
    strange = World(other)
    strange.store = world.store
    before = everything(world)
    assert strange.compare().parts == 0
    assert everything(world) == before


@pytest.mark.parametrize("wrong_s", [-300, 300, 600])
def test_a_clock_that_is_minutes_off_finds_nothing_that_is_not_there(contract: Contract, wrong_s: int) -> None:
    world = World(with_ttl(contract, 7200))
    world.fill(ROWS)
    world.delete(*(synthetic_cusip(number) for number in range(5)))
    world.apply()
    world.store.lose(key(10))
    clock = FakeClock(world.clock.now_us() + wrong_s * 1_000_000)
    found = world.found(world.compare(clock=clock))
    assert {name for name, kind in found.items() if kind != Kind.DANGLING_ALIAS} == {key(10)}
