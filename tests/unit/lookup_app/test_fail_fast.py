"""A store that hangs costs one slow request per pause, not one slow request each."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from instrument_cache.errors import StoreUnavailable
from lookup_app.fail_fast import FailFast


class Store:
    """Each read takes `takes_s` on its own clock, and fails while it is `away`."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.takes_s = 0.0
        self.away = False
        self.reads = 0

    def monotonic(self) -> float:
        return self.now_s

    def get_many(self, keys: Sequence[str]) -> list[bytes | None]:
        self.reads += 1
        self.now_s += self.takes_s
        if self.away:
            raise StoreUnavailable("away")
        return [None for _ in keys]

    def counters(self) -> dict[str, int]:
        self.get_many([])
        return {"applied": 1}


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def reader(store: Store) -> FailFast:
    return FailFast(store, slow_s=0.1, pause_s=0.25, monotonic=store.monotonic)


def fails(reader: FailFast) -> None:
    with pytest.raises(StoreUnavailable):
        reader.get_many(["k"])


def test_answers_pass(reader: FailFast) -> None:
    assert reader.get_many(["a", "b"]) == [None, None]
    assert reader.counters() == {"applied": 1}


def test_after_a_slow_failure_the_store_is_left_alone_for_a_pause(reader: FailFast, store: Store) -> None:
    store.away, store.takes_s = True, 0.15
    for _ in range(50):
        fails(reader)
    assert store.reads == 1
    store.now_s += 0.25
    for _ in range(50):
        fails(reader)
    assert store.reads == 2


def test_while_one_tries_the_others_are_refused(reader: FailFast, store: Store) -> None:
    store.away, store.takes_s = True, 0.15
    fails(reader)
    store.now_s += 0.25
    refused: list[bool] = []

    def meanwhile(keys: Sequence[str]) -> list[bytes | None]:
        store.now_s += 0.1
        fails(reader)
        refused.append(True)
        return [None]

    store.get_many = meanwhile  # type: ignore[method-assign]
    assert reader.get_many(["k"]) == [None]
    assert refused == [True]


def test_the_first_answer_opens_again(reader: FailFast, store: Store) -> None:
    store.away, store.takes_s = True, 0.15
    fails(reader)
    store.away, store.now_s = False, store.now_s + 0.25
    for _ in range(10):
        reader.get_many(["k"])
    assert store.reads == 11


def test_a_slow_answer_closes_nothing(reader: FailFast, store: Store) -> None:
    store.takes_s = 0.15
    for _ in range(10):
        reader.get_many(["k"])
    assert store.reads == 10


def test_a_quick_failure_closes_nothing(reader: FailFast, store: Store) -> None:
    store.away, store.takes_s = True, 0.001
    for _ in range(10):
        fails(reader)
    assert store.reads == 10
