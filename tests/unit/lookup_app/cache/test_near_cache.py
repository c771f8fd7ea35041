"""The rules by which the near cache keeps, forgets and fits."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lookup_app.cache.near_cache import ENTRY_BYTES, NearCache

HERE, ELSEWHERE = "10.0.0.1:6379", "10.0.0.2:6379"


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def cache() -> NearCache:
    return tracked()


def tracked(bytes_max: int = 100_000) -> NearCache:
    cache = NearCache(bytes_max, 1.0, Clock())
    cache.restart(HERE)
    return cache


def keep(cache: NearCache, key: str, value: bytes | None = b"v", peer: str = HERE, expires_at_ms: int = 0) -> None:
    cache.keep(cache.begin([key]), [key], [value], peer, lambda _: expires_at_ms)


def held(cache: NearCache) -> dict[str, bytes | None]:
    return {key: entry.value for key, entry in cache.entries.items()}


def test_what_was_read_is_kept_also_that_there_is_nothing(cache: NearCache) -> None:
    keep(cache, "a", b"1")
    keep(cache, "b", None)
    assert held(cache) == {"a": b"1", "b": None}


def test_a_change_while_it_is_read_keeps_it_out(cache: NearCache) -> None:
    token = cache.begin(["a", "b"])
    cache.invalidate(["a", "z"])
    cache.keep(token, ["a", "b"], [b"old", b"1"], HERE, lambda _: 0)
    assert held(cache) == {"b": b"1"}


def test_of_two_readers_the_last_to_begin_may_keep(cache: NearCache) -> None:
    first, second = cache.begin(["a"]), cache.begin(["a"])
    cache.keep(second, ["a"], [b"new"], HERE, lambda _: 0)
    cache.keep(first, ["a"], [b"new"], HERE, lambda _: 0)
    assert held(cache) == {"a": b"new"}


def test_a_late_reader_does_not_bring_the_old_back(cache: NearCache) -> None:
    late = cache.begin(["a"])
    cache.invalidate(["a"])
    keep(cache, "a", b"new")
    cache.keep(late, ["a"], [b"old"], HERE, lambda _: 0)
    assert held(cache).get("a") != b"old"


@pytest.mark.parametrize("event", ["flush", "lose", "restart", "end"])
def test_what_breaks_the_tracking_keeps_out_what_is_being_read(cache: NearCache, event: str) -> None:
    token = cache.begin(["a"])
    {
        "flush": cache.flush,
        "lose": cache.lose,
        "restart": lambda: cache.restart(HERE),
        "end": lambda: cache.end(token, ["a"]),
    }[event]()
    cache.keep(token, ["a"], [b"1"], HERE, lambda _: 0)
    assert held(cache) == {}


def test_what_another_redis_said_is_not_kept(cache: NearCache) -> None:
    keep(cache, "a", b"1", peer=ELSEWHERE)
    assert held(cache) == {}


def test_fresh_is_only_what_was_proved_of_late(cache: NearCache) -> None:
    assert cache.fresh_until_s < 0
    cache.advance(99.9)
    assert (cache.coherent_as_of_s, cache.fresh_until_s) == (99.9, 100.9)
    cache.lose()
    assert (cache.coherent_as_of_s, cache.fresh_until_s) == (99.9, float("-inf"))


def test_entries_outlive_the_loss_for_stale_answers_and_end_with_the_restart(cache: NearCache) -> None:
    keep(cache, "a", b"1")
    cache.lose()
    keep(cache, "b", b"2")
    assert held(cache) == {"a": b"1"}
    cache.restart(ELSEWHERE)
    assert held(cache) == {}
    keep(cache, "b", b"2", peer=ELSEWHERE)
    assert held(cache) == {"b": b"2"}


def test_nobody_sees_a_key_go_back_when_only_the_tracking_was_lost(cache: NearCache) -> None:
    keep(cache, "a", b"1")
    keep(cache, "b", b"1")
    cache.lose()
    keep(cache, "a", b"2")  # read and answered, though not kept
    keep(cache, "b", b"1")
    assert held(cache) == {"b": b"1"}


def test_redis_forgets_by_its_own_clock(cache: NearCache) -> None:
    keep(cache, "a", expires_at_ms=5_000)
    keep(cache, "b", expires_at_ms=7_000)
    keep(cache, "c")
    cache.expire(4_999)
    assert list(held(cache)) == ["a", "b", "c"]
    cache.expire(5_000)
    assert list(held(cache)) == ["b", "c"]


def test_a_life_that_was_prolonged_is_not_cut_short(cache: NearCache) -> None:
    keep(cache, "a", expires_at_ms=5_000)
    cache.invalidate(["a"])
    keep(cache, "a", expires_at_ms=9_000)
    cache.expire(6_000)
    assert list(held(cache)) == ["a"]


def test_lives_that_ended_otherwise_leave_nothing_behind(cache: NearCache) -> None:
    for _ in range(5_000):
        keep(cache, "a", expires_at_ms=5_000)
        cache.invalidate(["a"])
    assert len(cache._expiries) < 2_000


def fill(cache: NearCache, keys: Sequence[str]) -> None:
    for key in keys:
        keep(cache, key, b"x" * 500)


def test_it_stays_within_its_bytes_and_drops_the_oldest() -> None:
    cache = tracked(bytes_max=10 * (ENTRY_BYTES + 502))
    fill(cache, [f"{n:02d}" for n in range(25)])
    assert list(held(cache)) == [f"{n:02d}" for n in range(15, 25)]
    assert (cache.bytes_used, cache.evicted) == (cache.bytes_max, 15)


def test_what_was_used_stays_longer() -> None:
    cache = tracked(bytes_max=10 * (ENTRY_BYTES + 502))
    for n in range(25):
        fill(cache, [f"{n:02d}"])
        cache.entries["00"].used = True
    assert "00" in held(cache)


def test_all_used_is_no_reason_to_grow() -> None:
    cache = tracked(bytes_max=10 * (ENTRY_BYTES + 502))
    for n in range(100):
        fill(cache, [f"{n:02d}"])
        for entry in cache.entries.values():
            entry.used = True
    assert cache.bytes_used <= cache.bytes_max


@pytest.mark.parametrize("bytes_max", [0, 100])
def test_what_does_not_fit_is_not_kept(bytes_max: int) -> None:
    cache = tracked(bytes_max)
    fill(cache, ["a", "b"])
    assert (held(cache), cache.bytes_used) == ({}, 0)


def test_what_leaves_the_cache_leaves_its_shelf(cache: NearCache) -> None:
    shelf = cache.shelf()
    for key in "abcd":
        keep(cache, key)
        cache.shelve(cache.entries[key], shelf, key.upper(), b"", 100)
    cache.invalidate(["a"])
    keep(cache, "b", b"other")
    assert list(shelf) == ["C", "D"]
    cache.flush()
    assert (shelf, cache.bytes_used) == ({}, 0)


def test_what_has_left_the_cache_is_not_shelved(cache: NearCache) -> None:
    shelf = cache.shelf()
    keep(cache, "a")
    entry = cache.entries["a"]
    cache.invalidate(["a"])
    cache.shelve(entry, shelf, "a", b"", 100)
    cache.prepare(entry, "answer", 100)
    assert (shelf, cache.bytes_used) == ({}, 0)


keys = st.sampled_from("abcdef")
steps = st.one_of(
    st.tuples(st.just("read"), keys, st.integers(0, 2000)),
    st.tuples(st.just("change"), keys, st.just(0)),
    st.tuples(st.just("shelve"), keys, st.integers(0, 2000)),
    st.tuples(st.just("flush"), st.just(""), st.just(0)),
    st.tuples(st.just("expire"), st.just(""), st.integers(0, 2000)),
)


@given(steps=st.lists(steps, max_size=60))
def test_bytes_are_counted_exactly_whatever_happens(steps: list[tuple[str, str, int]]) -> None:
    cache = tracked(bytes_max=6_000)
    shelf = cache.shelf()
    for what, key, size in steps:
        if what == "read":
            keep(cache, key, b"x" * size, expires_at_ms=size)
        elif what == "change":
            cache.invalidate([key])
        elif what == "shelve" and key in cache.entries:
            cache.shelve(cache.entries[key], shelf, key, b"", size)
        elif what == "flush":
            cache.flush()
        else:
            cache.expire(size)
        assert cache.bytes_used == sum(entry.bytes_used for entry in cache.entries.values()) <= 6_000
        assert set(shelf) <= set(cache.entries)
