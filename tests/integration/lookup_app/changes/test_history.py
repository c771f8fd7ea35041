"""Listeners learn of what was written past the log, those too who were away."""

from __future__ import annotations

from typing import Any

import redis

from instrument_cache.epoch import Epoch, open_epoch, read_epoch
from instrument_cache.history import note_restored
from local_stack.synthetic import synthetic_cusip
from tests.integration.lookup_app.changes.scene import Listener, World
from tests.servers import wait_until


def client_of(world: World) -> Any:
    return redis.Redis.from_url(world.redis_url)


def wait_for(listener: Listener, *kinds: str) -> None:
    wait_until(lambda: listener.kinds()[-len(kinds) :] == list(kinds), 20, f"{kinds}, not {listener.kinds()}")


def test_a_roll_back_and_a_restore_are_told(world: World) -> None:
    process, client = world.process(), client_of(world)
    everything = Listener(world.url(process))
    of_one = Listener(world.url(process, f"ids={synthetic_cusip(1)}"))
    wait_for(everything, "hello")
    world.put(1)
    wait_for(everything, "hello", "put")
    wait_for(of_one, "hello", "put")
    before = everything.last_id

    open_epoch(client, world.dataset, Epoch(), Epoch(number=1, reason="a bad load", backup="b", pinned=True))
    wait_for(everything, "put", "epoch")
    wait_for(of_one, "put", "epoch")
    told = everything.events[-1].data
    assert (told["epoch"]["number"], told["epoch"]["reason"], told["epoch"]["pinned"]) == (1, "a bad load", True)
    assert everything.last_id == f"{before}_1.0"

    note_restored(client, world.dataset, "run", "b", "1 keys", [synthetic_cusip(1)])
    wait_for(everything, "epoch", "restored")
    assert everything.events[-1].data["restored"]["keys"] == [synthetic_cusip(1)]
    world.put(1)
    wait_for(everything, "restored", "put")
    wait_for(of_one, "restored", "put")
    assert everything.last_id.rpartition("_")[2].startswith("1.")

    # One with the newest id is told nothing twice.
    again = Listener(world.url(process), everything.last_id)
    world.put(1)
    wait_for(again, "put")
    assert again.kinds() == ["put"]
    for listener in (everything, of_one, again):
        listener.close()


def test_who_was_away_is_told_when_he_resumes_at_any_instance(world: World) -> None:
    first, client = world.process(), client_of(world)
    listener = Listener(world.url(first))
    wait_for(listener, "hello")
    world.put(1)
    wait_for(listener, "hello", "put")
    listener.cut()
    open_epoch(client, world.dataset, Epoch(), Epoch(number=1, pinned=True))
    world.put(2)
    for process in (world.process(), first):
        back = Listener(world.url(process), listener.last_id)
        wait_for(back, "epoch", "put")
        assert back.kinds() == ["epoch", "put"]
        back.close()
    # Of an epoch that was opened before he came, a new listener hears nothing.
    fresh = Listener(world.url(first))
    world.put(3)
    wait_for(fresh, "hello", "put")
    assert fresh.kinds() == ["hello", "put"]
    fresh.close()
    assert read_epoch(client, world.dataset).number == 1
