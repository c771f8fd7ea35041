"""Reconciliation's comparison, asked by a drill: what the log brings late is no difference, what stays is one."""

from __future__ import annotations

import pytest

from instrument_cache.drills import comparison
from instrument_cache.drills.comparison import compared
from local_stack.synthetic import synthetic_cusip
from tests.stack import CONTRACT
from tests.unit.reconcile.world import World


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparison, "FEED_S", 0.0)


def test_what_the_log_brings_late_is_no_difference() -> None:
    world = World(CONTRACT, lag=20)
    world.fill(100)
    world.delete(synthetic_cusip(3))
    world.publish(world.row(5))
    found = compared(world.source, world.store, CONTRACT, world.apply, world.clock)
    assert (found.keys, found.behind, found.extra) == (99, 0, 0)
    assert found.is_equal


def test_what_never_comes_is_one() -> None:
    world = World(CONTRACT, lag=20)
    world.fill(100)
    world.publish(world.row(5), world.row(200))
    world.delete(synthetic_cusip(3))
    found = compared(world.source, world.store, CONTRACT, lambda: None, world.clock)
    assert found.keys == 100
    assert found.behind >= 2
    assert found.extra >= 1
    assert f"instr:{synthetic_cusip(200)}" in found.samples
    assert found.behind_s > 0
