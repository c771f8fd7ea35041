"""The epoch and the note of the last restore, in a real Redis."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis

from instrument_cache.epoch import Epoch, EpochMoved, epoch_key, open_epoch, read_epoch, unpin
from instrument_cache.errors import StoreUnavailable
from instrument_cache.history import History, note_restored, read_history, restored_key
from instrument_cache.scratch.redis import scratch_redis

FIRST = Epoch(number=1, opened_at="2025-11-21T18:00:00+00:00", by="ann", reason="a bad load", backup="b", pinned=True)


@pytest.fixture(scope="module")
def server() -> Iterator[redis.Redis]:
    with scratch_redis() as scratch:
        yield scratch.client()


@pytest.fixture
def client(server: redis.Redis) -> redis.Redis:
    server.flushall()
    return server


def test_without_one_it_is_the_first(client: redis.Redis) -> None:
    assert read_epoch(client, "d") == Epoch()
    assert read_history(client, "d") == History()
    assert read_history(client, "d").mark == (0, 0)


def test_an_epoch_is_opened_once(client: redis.Redis) -> None:
    open_epoch(client, "d", Epoch(), FIRST)
    open_epoch(client, "d", Epoch(), FIRST)  # an answer that was lost
    assert read_epoch(client, "d") == FIRST
    with pytest.raises(EpochMoved, match="no more 0 as it was seen"):
        open_epoch(client, "d", Epoch(), Epoch(number=1, by="bob"))
    open_epoch(client, "d", FIRST, Epoch(number=2))
    assert read_epoch(client, "d").number == 2
    assert read_epoch(client, "other") == Epoch()


def test_unpinning_keeps_all_else(client: redis.Redis) -> None:
    open_epoch(client, "d", Epoch(), FIRST)
    assert unpin(client, "d") == unpin(client, "d") == read_epoch(client, "d")
    assert (read_epoch(client, "d").pinned, read_epoch(client, "d").reason) == (False, "a bad load")
    assert unpin(client, "other") == Epoch()


def test_a_run_leaves_one_note(client: redis.Redis) -> None:
    note_restored(client, "d", "run-1", "b", "2 keys: a, b", ["a", "b"])
    first = read_history(client, "d").restored
    assert first is not None
    assert first.keys == ("a", "b")
    note_restored(client, "d", "run-1", "b", "2 keys: a, b", ["a", "b"])
    assert read_history(client, "d").restored == first
    note_restored(client, "d", "run-2", "b", "all keys", [f"{number}" for number in range(1000)])
    second = read_history(client, "d").restored
    assert second is not None
    assert second.keys == ()
    assert second.at_ms >= first.at_ms
    assert (first.before_ms, second.before_ms) == (0, first.at_ms)


@pytest.mark.parametrize("name", [epoch_key("d"), restored_key("d")])
def test_what_cannot_be_read_is_said(client: redis.Redis, name: str) -> None:
    client.set(name, "nonsense")
    with pytest.raises(StoreUnavailable, match=name):
        read_history(client, "d")
