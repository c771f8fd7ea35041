"""How long the feed and the stream get, and by what they are seen to have caught up."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from instrument_cache.canary import stored_key
from instrument_cache.errors import LogUnavailable
from instrument_cache.kafka import Span
from instrument_cache.reconcile.settled import LogSettling
from instrument_cache.store.interface import Entry, Position
from instrument_cache.store.memory import MemoryStore

GRACE_S = 30.0
POSITION = 7


class Scene:
    """A log of two partitions, an account, and a clock that moves in sleep; `plan` is what happens at which second.

    `passed_s` is when the feed has passed the position, None: never.
    """

    def __init__(self) -> None:
        self.store, self.now_s = MemoryStore(), 0.0
        self.ends: dict[int, int] | None = {0: 100, 1: 50}
        self.passed_s: float | None = 1.0
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

    def with_canaries(self) -> None:
        self.store.offer({stored_key("instruments", at): b'{"v":1763674000123456,"p":0}' for at in (0, 1)})

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds
        for due in [due for due in self.plan if due <= self.now_s]:
            self.plan.pop(due)()

    def wait(self) -> str:
        settling = LogSettling(
            self.store, "instruments", self.spans, _Fence(self), GRACE_S, self.sleep, lambda: self.now_s
        )
        return settling.wait(POSITION, lambda *_: None)


class _Fence:
    def __init__(self, scene: Scene) -> None:
        self._scene = scene

    def ends(self, position: int, wait_s: float) -> Mapping[int, int] | None:
        assert position == POSITION
        scene = self._scene
        passed_s = GRACE_S * 9 if scene.passed_s is None else scene.passed_s
        scene.sleep(max(0.0, min(passed_s - scene.now_s, wait_s)))
        return scene.ends if scene.now_s >= passed_s else None


@pytest.fixture
def scene() -> Scene:
    return Scene()


@pytest.mark.parametrize("canaries", [True, False])
def test_it_waits_until_everything_is_accounted(scene: Scene, canaries: bool) -> None:
    if canaries:
        scene.with_canaries()
    scene.plan[10.0] = lambda: scene.settle(0, 90, 120)
    assert scene.wait() == ""
    assert 10 <= scene.now_s < 11


def test_a_slow_feed_is_waited_for(scene: Scene) -> None:
    scene.with_canaries()
    scene.passed_s = 20.0
    scene.settle(0, 90, 100)
    scene.plan[19.0] = lambda: scene.ends.update({0: 130}) if scene.ends else None
    scene.plan[25.0] = lambda: scene.settle(0, 100, 130)
    assert scene.wait() == ""
    assert 25 <= scene.now_s < 26


def test_a_feed_that_does_not_pass_in_time_is_said(scene: Scene) -> None:
    scene.with_canaries()
    scene.passed_s = None
    assert "the feed had passed the source's position 7" in scene.wait()
    assert GRACE_S <= scene.now_s < GRACE_S + 1


def test_without_canaries_what_is_written_later_is_not_waited_for(scene: Scene) -> None:
    scene.settle(0, 90, 100)
    scene.plan[3.0] = lambda: scene.ends.update({0: 1000}) if scene.ends else None
    assert scene.wait() == ""
    assert scene.now_s < 3


def test_the_time_runs_out_and_it_is_said_how_much_is_behind(scene: Scene) -> None:
    assert "After 30 s the stream had still to apply 10 records" in scene.wait()
    assert GRACE_S <= scene.now_s < GRACE_S + 1


def test_without_kafka_the_time_runs_out_and_when_it_comes_back_it_goes_on(scene: Scene) -> None:
    scene.ends = None
    assert "the log did not tell" in scene.wait()

    def back() -> None:
        scene.ends = {0: 90, 1: 50}

    scene.plan[scene.now_s + 5] = back
    assert scene.wait() == ""
