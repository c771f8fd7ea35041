"""The steps of an exchange: whatever is killed and tried again, it ends whole, and consumers hold what is believed."""

from __future__ import annotations

import pytest

from instrument_cache.errors import RotationError
from instrument_cache.rotation.model import Phase
from tests.unit.rotation.world import SLOT, Killed, World

# How many changes of the world one rotation makes.
CHANGES = 7


@pytest.fixture
def world() -> World:
    """Consumers hold what is believed, after each change of the world."""
    made = World()

    def check() -> None:
        current = made.slots[SLOT]
        assert current in made.believed, "a consumer that reads the secret now is refused"
        assert made.now_s >= made.known_since[current], "and here by who does not know it yet"

    made.seen = check
    return made


def switch(world: World) -> None:
    world.rotation.switch()
    world.now_s += world.known_s
    world.rotation.switch()


def rotate(world: World) -> None:
    world.rotation.begin()
    switch(world)
    world.now_s += world.grace_s
    world.rotation.finish()


def turn_back(world: World) -> None:
    world.rotation.turn_back()
    switch(world)
    world.now_s += world.grace_s
    world.rotation.finish()


def test_a_rotation_ends_with_the_new_secret_alone(world: World) -> None:
    rotate(world)
    assert (world.slots, world.believed) == ({SLOT: "secret-1"}, {"secret-1"})
    assert world.changes == CHANGES
    assert world.rotation.state().phase is Phase.IDLE
    rotate(world)
    assert (world.slots, world.believed) == ({SLOT: "secret-2"}, {"secret-2"})


@pytest.mark.parametrize("after", range(CHANGES))
def test_killed_anywhere_and_run_again_it_ends_the_same(world: World, after: int) -> None:
    world.die_after = after
    with pytest.raises(Killed):
        rotate(world)
    world.die_after = -1
    rotate(world)
    new = f"secret-{2 if after == 0 else 1}"  # the first one was killed before it was laid down
    assert (world.slots, world.believed) == ({SLOT: new}, {new})


@pytest.mark.parametrize("again", range(CHANGES))
@pytest.mark.parametrize("after", range(CHANGES))
def test_killed_anywhere_it_can_be_turned_back_though_that_is_killed_too(world: World, after: int, again: int) -> None:
    world.die_after = after
    with pytest.raises(Killed):
        rotate(world)
    world.die_after = world.changes + again
    try:
        turn_back(world)
    except Killed:
        world.die_after = -1
        turn_back(world)
    assert (world.slots, world.believed) == ({SLOT: "secret-0"}, {"secret-0"})


def test_a_roll_back_that_was_killed_is_finished_by_a_rotation_too(world: World) -> None:
    world.rotation.begin()
    switch(world)
    world.rotation.turn_back()
    assert world.rotation.state().back
    rotate(world)
    assert (world.slots, world.believed) == ({SLOT: "secret-0"}, {"secret-0"})


def test_nothing_to_turn_back_and_nothing_to_finish_change_nothing(world: World) -> None:
    turn_back(world)
    world.rotation.switch()
    assert world.rotation.waits_for() == ""
    world.rotation.finish()
    assert world.changes == 0


def test_the_old_secret_stays_until_no_consumer_can_come_with_it(world: World) -> None:
    world.rotation.begin()
    assert "not told" in world.rotation.waits_for()
    with pytest.raises(RotationError, match="not told"):
        world.rotation.finish()
    world.rotation.switch()
    assert "not told" in world.rotation.waits_for(), "not all who check it know it"
    world.now_s += world.known_s
    world.rotation.switch()
    world.now_s += 9
    assert "for 1 s more" in world.rotation.waits_for()
    world.rotation.switch()
    assert "for 1 s more" in world.rotation.waits_for(), "told again, they need not wait again"
    with pytest.raises(RotationError, match="both secrets stay good"):
        world.rotation.finish()
    assert world.believed == {"secret-0", "secret-1"}
    world.now_s += 1
    assert world.rotation.waits_for() == ""


def test_a_consumer_that_is_late_brings_the_old_secret_back_and_is_named(world: World) -> None:
    world.late["secret-0"] = "a login from 10.0.0.7"
    with pytest.raises(RotationError, match=r"10\.0\.0\.7.*have them read the new one"):
        rotate(world)
    assert world.believed == {"secret-0", "secret-1"}
    world.late.clear()
    rotate(world)
    assert world.believed == {"secret-1"}


def test_killed_while_it_watched_it_brings_the_old_secret_back(world: World) -> None:
    world.die_after = CHANGES - 1  # before the note goes
    with pytest.raises(Killed):
        rotate(world)
    assert world.believed == {"secret-1"}
    world.die_after = -1
    world.late["secret-0"] = "a login from 10.0.0.7"
    with pytest.raises(RotationError, match=r"10\.0\.0\.7.*both secrets stay good"):
        world.rotation.finish()
    assert world.believed == {"secret-0", "secret-1"}


def test_what_is_not_in_order_before_is_not_rotated(world: World) -> None:
    world.slots[SLOT] = "another"
    assert "new logins fail" in world.rotation.state().sentence
    with pytest.raises(RotationError, match="mend that first"):
        world.rotation.begin()
    del world.slots[SLOT]
    with pytest.raises(RotationError, match="'password' is empty"):
        world.rotation.state()
    world.slots = {SLOT: "secret-0", f"{SLOT}.rotation": "secret-0 no JSON"}
    with pytest.raises(RotationError, match="cannot be read") as refused:
        world.rotation.state()
    assert "secret-0" not in str(refused.value)


def test_its_state_is_told_without_the_secret(world: World) -> None:
    told = [world.rotation.state()]
    world.rotation.begin()
    told.append(world.rotation.state())
    switch(world)
    world.now_s += 7
    told.append(world.rotation.state())
    world.rotation.turn_back()
    told.append(world.rotation.state())
    assert [(state.phase, state.back) for state in told] == [
        (Phase.IDLE, False),
        (Phase.BEGUN, False),
        (Phase.SWITCHED, False),
        (Phase.BEGUN, True),
    ]
    assert told[2].sentence == "being rotated: consumers were told, 7 s ago"
    assert "secret-" not in str(told)


def test_turned_back_consumers_need_not_wait_for_who_knows_the_old_secret(world: World) -> None:
    world.rotation.begin()
    switch(world)
    world.rotation.turn_back()
    world.rotation.switch()
    assert world.slots[SLOT] == "secret-0"
