"""Which reads go to Redis, and what is answered when it is away."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from instrument_cache.contract import Contract
from instrument_cache.errors import StoreUnavailable
from lookup_app.cache.near_cache import NearCache
from lookup_app.cache.reader import CachedReader, expiry
from lookup_app.fail_fast import FailFast
from lookup_app.redis_reader import Fetched

HERE = "10.0.0.1:6379"
A, B = "instr:037833100", "instr:594918104"


class Scene:
    """A Redis that answers from `stored`, its clock, and a cached reader before it. `started` counts the begins."""

    def __init__(self, contract: Contract) -> None:
        self.now_s = 100.0
        self.stored: dict[str, bytes] = {A: b"a1"}
        self.away, self.takes_s = False, 0.0
        self.asked: list[list[str]] = []
        self.counted: list[tuple[str, int]] = []
        self.started = 0
        self.cache = NearCache(100_000, 1.0, lambda: self.now_s)
        self.breaker = FailFast(self, slow_s=0.075, pause_s=0.25, monotonic=lambda: self.now_s)
        self.reader = CachedReader(self.breaker, self.cache, contract, stale_s_max=300.0, begin=self._begin)
        self.reader.count = lambda outcome, keys: self.counted.append((outcome, keys))

    def fetch(self, keys: Sequence[str]) -> Fetched:
        self.asked.append(list(keys))
        self.now_s += self.takes_s
        if self.away:
            raise StoreUnavailable("away")
        return Fetched([self.stored.get(key) for key in keys], HERE)

    def _begin(self) -> None:
        self.started += 1

    def track(self) -> None:
        self.cache.restart(HERE)
        self.cache.advance(self.now_s)

    def change(self, key: str, value: bytes) -> None:
        self.stored[key] = value
        self.cache.invalidate([key])


@pytest.fixture
def scene(contract: Contract) -> Scene:
    scene = Scene(contract)
    scene.track()
    return scene


def test_the_second_read_is_not_asked_of_redis(scene: Scene) -> None:
    assert [scene.reader.read([A]) for _ in range(3)] == [((b"a1",) if n else [b"a1"], None) for n in range(3)]
    assert scene.asked == [[A]]
    assert scene.counted == [("miss", 1), ("hit", 1), ("hit", 1)]


def test_that_there_is_nothing_is_kept_until_there_is(scene: Scene) -> None:
    for _ in range(3):
        assert list(scene.reader.read([B]).values) == [None]
    assert scene.asked == [[B]]
    scene.change(B, b"b1")
    assert list(scene.reader.read([B]).values) == [b"b1"]


def test_only_what_is_missing_is_asked(scene: Scene) -> None:
    scene.stored[B] = b"b1"
    scene.reader.read([A])
    assert scene.reader.read([B, A, B, "instr:x"]).values == [b"b1", b"a1", b"b1", None]
    assert scene.asked[1] == [B, B, "instr:x"]
    assert scene.counted == [("miss", 1), ("hit", 1), ("miss", 3)]


def test_nothing_is_fresh_beyond_the_bound(scene: Scene) -> None:
    scene.reader.read([A])
    scene.now_s += 1.0
    scene.reader.read([A])
    assert len(scene.asked) == 1
    scene.now_s += 0.001
    scene.stored[A] = b"a2"  # of which nobody told
    assert scene.reader.read([A]).values == [b"a2"]


def test_before_anything_is_tracked_redis_is_asked_and_the_tracking_begun(contract: Contract) -> None:
    scene = Scene(contract)
    for _ in range(2):
        assert scene.reader.read([A]).stale_s is None
    assert (len(scene.asked), scene.started) == (2, 2)


def test_while_redis_is_away_answers_are_stale_and_say_how_old(scene: Scene) -> None:
    scene.reader.read([A, B])
    scene.away, scene.now_s = True, scene.now_s + 2.5
    assert scene.reader.read([A]) == ([b"a1"], 2.5)
    assert scene.reader.read([A, B]) == ([b"a1", None], 2.5)
    assert scene.counted[-1] == ("stale", 2)


def test_what_was_never_read_is_not_invented(scene: Scene) -> None:
    scene.reader.read([A])
    scene.away, scene.now_s = True, scene.now_s + 2.5
    for keys in ([B], [A, B]):
        with pytest.raises(StoreUnavailable):
            scene.reader.read(keys)
    assert scene.counted[-1] == ("error", 2)


def test_a_stale_answer_has_an_age_that_it_may_not_pass(scene: Scene) -> None:
    scene.reader.read([A])
    scene.away, scene.now_s = True, scene.now_s + 300.0
    assert scene.reader.read([A]).stale_s == 300.0
    scene.now_s += 0.1
    with pytest.raises(StoreUnavailable):
        scene.reader.read([A])


def test_who_can_have_a_stale_answer_does_not_wait_for_a_redis_that_hangs(scene: Scene) -> None:
    scene.reader.read([A])
    scene.away, scene.takes_s, scene.now_s = True, 0.15, scene.now_s + 2.0
    scene.breaker.refuse()
    before_s = scene.now_s
    for _ in range(300):
        assert scene.reader.read([A]).stale_s is not None
        scene.now_s += 0.01  # also when the breaker would let one through
    assert len(scene.asked) == 1
    assert scene.now_s == pytest.approx(before_s + 3.0)


def test_fresh_answers_go_on_while_the_rest_is_refused(scene: Scene) -> None:
    scene.reader.read([A])
    scene.away = True
    scene.breaker.refuse()
    assert scene.reader.read([A]) == ((b"a1",), None)
    with pytest.raises(StoreUnavailable):
        scene.reader.read([B])


def test_when_only_the_tracking_is_lost_redis_is_asked(scene: Scene) -> None:
    scene.reader.read([A])
    scene.cache.lose()
    scene.stored[A] = b"a2"
    assert scene.reader.read([A]) == ([b"a2"], None)
    scene.away = True
    with pytest.raises(StoreUnavailable):  # a1 is gone: a2 was answered
        scene.reader.read([A])


def test_a_failed_read_leaves_no_mark(scene: Scene) -> None:
    scene.away = True
    with pytest.raises(StoreUnavailable):
        scene.reader.read([A, B])
    assert scene.cache._reads == {}


def test_when_redis_lets_values_expire(contract: Contract) -> None:
    from dataclasses import replace

    lives = expiry(replace(contract, ttl_s=60, tombstone_ttl_s=7))
    assert lives(b'{"v":1763674000123456,"cusip":"037833100"}') == 1763674000123 + 60_000
    assert lives(b'{"v":1763674000123456,"~deleted_at":1763674001999999}') == 1763674001999 + 7_000
    assert expiry(contract)(b'{"v":1763674000123456,"cusip":"037833100"}') == 0
    for garbage in (b"", b"x", b'{"v":x763674000123456,', b'{"v":1763674000123456,"~deleted_at":}'):
        assert lives(garbage) == 0
