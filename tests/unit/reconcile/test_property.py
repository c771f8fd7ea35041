"""Drift of every kind, planted at random under live traffic: all of it is found, and nothing else."""

from __future__ import annotations

import random

import pytest

from instrument_cache.change import is_tombstone
from instrument_cache.contract import Contract
from instrument_cache.reconcile.model import Kind
from instrument_cache.reconcile.plan import Order
from local_stack.synthetic import synthetic_cusip
from tests.drift import Planter
from tests.unit.reconcile.world import World

ROWS = 900
PER_KIND = 6
SEEDS = 20


def make_traffic(world: World, numbers: list[int], chance: random.Random) -> None:
    """A few changes: updates, renamed aliases, deletes, records that come back, new records."""
    for _ in range(chance.randrange(1, 12)):
        number = chance.choice(numbers)
        what = chance.random()
        if what < 0.6:
            world.publish(world.row(number))
        elif what < 0.7:
            world.publish(world.row(number, pme=f"PMER{chance.randrange(50):05}"))
        elif what < 0.8:
            world.delete(synthetic_cusip(number))
        elif what < 0.85:
            world.publish({**world.row(number), "cusip": "not a CUSIP"})
        else:
            world.publish(world.row(chance.randrange(2000, 2500)))


@pytest.mark.parametrize("seed", range(SEEDS))
def test_all_drift_is_found_under_traffic_and_nothing_else(contract: Contract, seed: int) -> None:
    world = World(contract, seed, lag=random.Random(seed).randrange(1, 60))
    world.fill(ROWS)
    numbers = list(range(ROWS))
    world.chance.shuffle(numbers)
    quiet, busy = numbers[: ROWS // 2], numbers[ROWS // 2 :]
    planter = Planter(world.store, contract, iter(quiet), world.chance, world.clock.now_us())
    for _ in range(PER_KIND):
        planter.plant()
        make_traffic(world, busy, world.chance)
    plan = world.compare(Order(shards=4), traffic=lambda: make_traffic(world, busy, world.chance))
    found = world.found(plan)
    assert {key: found.get(key) for key in planter.planted} == planter.planted
    others = {key: kind for key, kind in found.items() if key not in planter.planted}
    wrong = {key: kind for key, kind in others.items() if kind != Kind.DANGLING_ALIAS}
    assert {key: kind for key, kind in wrong.items() if not _is_masked(key, kind)} == {}

    world.repair(plan)
    world.apply()
    again = world.compare(run_id="run-2")
    left = {key: kind for key, kind in world.found(again).items() if kind != Kind.DANGLING_ALIAS}
    assert {key: kind for key, kind in left.items() if not _is_masked(key, kind)} == {}
    expected, cached = world.expected(), dict(world.store.scan("instr"))
    assert {key: held for key, held in cached.items() if not is_tombstone(held)} == {
        key: value for key, value in expected.items() if key.startswith("instr:")
    }


def _is_masked(key: str, kind: str) -> bool:
    """An alias that two records took in turn, and whose last taker gave it up: truly wrong, by the stream itself."""
    return kind == Kind.WRONG_ALIAS and key.startswith("pme:PMER")
