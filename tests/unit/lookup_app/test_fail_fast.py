"""A store that hangs costs one slow request per pause, not one slow request each."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from instrument_cache.errors import StoreUnavailable
from lookup_app.fail_fast import FIRST_PAUSE_S, FailFast
from lookup_app.redis_reader import Fetched


class Store:
    """Each read takes `takes_s` on its own clock, and fails while it is `away`."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.takes_s = 0.0
        self.away = False
        self.reads = 0

    def monotonic(self) -> float:
        return self.now_s

    def fetch(self, keys: Sequence[str]) -> Fetched:
        self.reads += 1
        self.now_s += self.takes_s
        if self.away:
            raise StoreUnavailable("away")
        return Fetched([None for _ in keys], "here")


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def breaker(store: Store) -> FailFast:
    return FailFast(store, slow_s=0.1, pause_s=0.25, monotonic=store.monotonic)


def fails(breaker: FailFast) -> None:
    with pytest.raises(StoreUnavailable):
        breaker.fetch(["k"])


def test_answers_pass(breaker: FailFast) -> None:
    assert breaker.fetch(["a", "b"]) == ([None, None], "here")
    assert not breaker.refuses


def test_after_a_slow_failure_the_store_is_left_alone_for_a_pause(breaker: FailFast, store: Store) -> None:
    store.away, store.takes_s = True, 0.15
    for _ in range(50):
        fails(breaker)
    assert (store.reads, breaker.refuses) == (1, True)
    store.now_s += 0.25
    for _ in range(50):
        fails(breaker)
    assert (store.reads, breaker.refuses) == (2, True)


def test_a_single_slow_failure_costs_a_moment(breaker: FailFast, store: Store) -> None:
    """As on a machine that is busy: not a whole pause of refusals for one late answer."""
    store.away, store.takes_s = True, 0.15
    fails(breaker)
    fails(breaker)
    assert store.reads == 1
    store.away, store.takes_s, store.now_s = False, 0.001, store.now_s + FIRST_PAUSE_S
    for _ in range(10):
        breaker.fetch(["k"])
    assert (store.reads, breaker.refuses) == (11, False)


def test_who_fails_beside_others_begins_no_pause_of_his_own(breaker: FailFast, store: Store) -> None:
    store.away, store.takes_s = True, 0.15

    def beside(keys: Sequence[str]) -> Fetched:
        del store.fetch  # type: ignore[method-assign]
        fails(breaker)
        store.now_s += FIRST_PAUSE_S
        raise StoreUnavailable("away")

    store.fetch = beside  # type: ignore[method-assign]
    fails(breaker)
    store.away = False
    assert breaker.fetch(["k"]).values == [None]


def test_while_one_tries_the_others_are_refused(breaker: FailFast, store: Store) -> None:
    store.away, store.takes_s = True, 0.15
    fails(breaker)
    store.now_s += 0.25
    refused: list[bool] = []

    def meanwhile(keys: Sequence[str]) -> Fetched:
        store.now_s += 0.1
        fails(breaker)
        refused.append(True)
        return Fetched([None], "here")

    store.fetch = meanwhile  # type: ignore[method-assign]
    assert breaker.fetch(["k"]).values == [None]
    assert refused == [True]


def test_the_first_answer_opens_again(breaker: FailFast, store: Store) -> None:
    store.away, store.takes_s = True, 0.15
    fails(breaker)
    store.away, store.now_s = False, store.now_s + 0.25
    for _ in range(10):
        breaker.fetch(["k"])
    assert (store.reads, breaker.refuses) == (11, False)


def test_a_slow_answer_refuses_nothing(breaker: FailFast, store: Store) -> None:
    store.takes_s = 0.15
    for _ in range(10):
        breaker.fetch(["k"])
    assert store.reads == 10


def test_a_quick_failure_refuses_nothing(breaker: FailFast, store: Store) -> None:
    store.away, store.takes_s = True, 0.001
    for _ in range(10):
        fails(breaker)
    assert store.reads == 10


def test_who_watches_the_store_decides_too(breaker: FailFast, store: Store) -> None:
    breaker.refuse()
    for _ in range(10):
        fails(breaker)
    assert store.reads == 0
    breaker.allow()
    breaker.fetch(["k"])
    assert store.reads == 1
