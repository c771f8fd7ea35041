"""How long the stream gets, and by what it is seen to have caught up."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from instrument_cache.errors import LogUnavailable
from instrument_cache.kafka import Span
from instrument_cache.reconcile.settled import LogSettling
from instrument_cache.store.interface import Entry, Position
from instrument_cache.store.memory import MemoryStore

GRACE_S = 30.0


class Scene:
    """A log of two partitions, an account, and a clock that moves in sleep; `plan` is what happens at which second."""

    def __init__(self) -> None:
        self.store, self.now_s = MemoryStore(), 0.0
        self.ends: dict[int, int] | None = {0: 100, 1: 50}
        self.plan: dict[float, Callable[[], None]] = {}
        self.settle(0, 0, 90)
        self.settle(1, 0, 50)

    def settle(self, partition: int, before: int, after: int) -> None:
        was = Position(0, before) if before else Position()
        self.store.settle([Entry(partition, 1, was, Position(0, after), {"applied": after - before})], {}, {})

    def spans(self) -> Mapping[int, Span]:
        if self.ends is None:
            raise LogUnavailable("Kafka is away")
        return {partition: Span(0, end) for partition, end in self.ends.items()}

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds
        for due in [due for due in self.plan if due <= self.now_s]:
            self.plan.pop(due)()

    def wait(self) -> bool:
        settling = LogSettling(self.store, self.spans, GRACE_S, sleep=self.sleep, monotonic=lambda: self.now_s)
        return settling.wait(lambda *_: None)


@pytest.fixture
def scene() -> Scene:
    return Scene()


def test_it_waits_until_everything_is_accounted(scene: Scene) -> None:
    scene.plan[10.0] = lambda: scene.settle(0, 90, 120)
    assert scene.wait()
    assert 10 <= scene.now_s < 11


def test_what_is_written_later_is_not_waited_for(scene: Scene) -> None:
    scene.settle(0, 90, 100)
    scene.plan[3.0] = lambda: scene.ends.update({0: 1000}) if scene.ends else None
    assert scene.wait()
    assert scene.now_s < 3


def test_the_time_runs_out(scene: Scene) -> None:
    assert not scene.wait()
    assert GRACE_S <= scene.now_s < GRACE_S + 1


def test_without_kafka_the_time_runs_out_and_when_it_comes_back_it_goes_on(scene: Scene) -> None:
    scene.ends = None
    assert not scene.wait()

    def back() -> None:
        scene.ends = {0: 90, 1: 50}

    scene.plan[scene.now_s + 5] = back
    assert scene.wait()
