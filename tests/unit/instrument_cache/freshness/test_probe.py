"""What looks in a row tell: fresh, late, silent or stalled; and what proves nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import pytest

from instrument_cache.account import PartitionAccount
from instrument_cache.clock import FakeClock
from instrument_cache.errors import LogUnavailable, SettingsError, StoreUnavailable
from instrument_cache.feed_state import FeedState
from instrument_cache.freshness import Freshness, FreshnessProbe, Limits, StoreFigures, Verdict, freshness_limits
from instrument_cache.lag import EDGES_MS, LagHistogram
from instrument_cache.settings import Environment
from instrument_cache.store.memory import MemoryStore

LIMITS = Limits(late_s=5, stalled_s=30)


class Span(NamedTuple):
    """What a partition keeps; the kernel's tests run where there is no Kafka client too."""

    start: int
    end: int


class Scene:
    """One probe, two clocks that are moved together, and the figures of partition 0."""

    def __init__(self, feed: FeedState | None = None) -> None:
        self.clock = FakeClock()
        self.seconds = 0.0
        self.next, self.replayed, self.end = 100, 0, 100
        self.canary_at_us: int | None = self.clock.now_us()
        self.probe = FreshnessProbe(
            MemoryStore(),
            "instruments",
            lambda: {},
            LIMITS,
            feed_state=lambda: feed,
            clock=self.clock,
            monotonic=lambda: self.seconds,
        )

    def wait(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.seconds += seconds

    def sing(self, applied: bool = True) -> None:
        """The feed writes a canary; the job applies it, or does not."""
        self.end += 1
        if applied:
            self.next, self.canary_at_us = self.end, self.clock.now_us()

    def look(self, kafka: bool = True) -> Freshness:
        account = PartitionAccount(0, next=self.next, replayed=self.replayed)
        figures = StoreFigures({0: account}, {0: self.canary_at_us}, {})
        return self.probe.assess(figures, {0: Span(0, self.end)} if kafka else {})

    def verdicts(self, seconds: int, step_s: int = 1, applied: bool = True) -> list[Verdict]:
        """Looks each second while the feed sings."""
        found = []
        for _ in range(0, seconds, step_s):
            self.wait(step_s)
            self.sing(applied)
            found.append(self.look().verdict)
        return found


def test_a_stream_that_applies_its_canaries_is_fresh_however_long_it_runs() -> None:
    scene = Scene()
    assert set(scene.verdicts(300)) == {Verdict.OK}
    assert scene.look().canary_age_s_max == 0.0


def test_a_job_that_stops_to_apply_is_late_and_then_stalled_with_a_sentence() -> None:
    scene = Scene()
    scene.verdicts(10)
    verdicts = scene.verdicts(40, applied=False)
    assert verdicts[:5] == [Verdict.OK] * 5
    assert verdicts[5:30] == [Verdict.LATE] * 25
    assert verdicts[30:] == [Verdict.STALLED] * 10
    found = scene.look()
    assert [at.partition for at in found.stalled] == [0]
    assert "Nothing has been applied in partition 0 since " in found.message
    assert "although 40 records wait in Kafka: see docs/runbook/freshness.md." in found.message


def test_a_job_that_catches_up_is_late_and_never_stalled() -> None:
    scene = Scene()
    scene.wait(3600)
    scene.end += 1_000_000
    for _ in range(120):
        scene.wait(1)
        scene.next += 10
        assert scene.look().verdict is Verdict.LATE


def test_a_job_that_replays_what_it_applied_before_is_not_stalled() -> None:
    scene = Scene()
    for _ in range(120):
        scene.wait(1)
        scene.sing(applied=False)
        scene.replayed += 5000
        assert scene.look().verdict in (Verdict.OK, Verdict.LATE)


def test_a_feed_that_is_silent_is_no_stalled_job() -> None:
    scene = Scene(
        FeedState(phase="disconnected", updated_at=FakeClock().now_us() + 3600_000_000, heard_at=FakeClock().now_us())
    )
    scene.look()
    scene.wait(3600)
    found = scene.look()
    assert found.verdict is Verdict.SILENT
    assert "the feed is disconnected and last heard of its source 3600 s ago." in found.message


@pytest.mark.parametrize(
    ("feed", "words"),
    [
        (None, "the feed tells nothing about itself"),
        (
            FeedState(phase="live", updated_at=FakeClock().now_us()),
            "has told nothing about itself for 60 s; is it running?",
        ),
    ],
)
def test_what_a_silent_feed_says_or_does_not(feed: FeedState | None, words: str) -> None:
    scene = Scene(feed)
    scene.wait(60)
    assert words in scene.look().message


def test_without_canaries_a_standstill_shows_by_the_offsets_alone() -> None:
    scene = Scene()
    scene.canary_at_us = None
    assert scene.look().verdict is Verdict.SILENT
    scene.end += 7
    assert scene.look().verdict is Verdict.LATE
    scene.wait(29)
    assert scene.look().verdict is Verdict.LATE
    scene.wait(1)
    assert scene.look().verdict is Verdict.STALLED


def test_an_old_canary_and_ten_seconds_of_standstill_are_enough() -> None:
    scene = Scene()
    scene.wait(100)
    scene.sing(applied=False)
    assert scene.look().verdict is Verdict.LATE, "one look cannot see a standstill"
    scene.wait(10)
    assert scene.look().verdict is Verdict.STALLED


@pytest.mark.parametrize("skew_s", [-300, 300])
def test_clocks_that_differ_by_minutes_never_make_a_stalled_job(skew_s: int) -> None:
    scene = Scene()
    for _ in range(100):
        scene.wait(1)
        scene.sing()
        assert scene.canary_at_us is not None
        scene.canary_at_us += skew_s * 1_000_000
        assert scene.look().verdict is not Verdict.STALLED


def test_a_standstill_while_kafka_is_away_proves_nothing() -> None:
    scene = Scene()
    scene.sing(applied=False)
    scene.look()
    for _ in range(100):
        scene.wait(1)
        assert scene.look(kafka=False).verdict in (Verdict.OK, Verdict.UNKNOWN)
    assert scene.look().verdict is Verdict.LATE


def test_a_standstill_while_redis_is_away_proves_nothing() -> None:
    scene = Scene()
    scene.sing(applied=False)
    scene.look()
    scene.wait(100)
    scene.probe.forget()
    assert scene.look().verdict is Verdict.LATE


class AwayStore(MemoryStore):
    away = True

    def accounts(self) -> dict[int, PartitionAccount]:
        if self.away:
            raise StoreUnavailable("Redis is away")
        return super().accounts()


def test_a_look_without_redis_says_so_and_one_without_kafka_goes_on() -> None:
    def no_kafka() -> Mapping[int, Any]:
        raise LogUnavailable("Kafka is away")

    store = AwayStore()
    probe = FreshnessProbe(store, "instruments", no_kafka, LIMITS)
    with pytest.raises(StoreUnavailable):
        probe.look()
    store.away = False
    assert probe.look().verdict is Verdict.UNKNOWN


def test_the_worst_partition_gives_the_verdict() -> None:
    scene = Scene()
    now_us = scene.clock.now_us()
    accounts = {at: PartitionAccount(at, next=10) for at in range(3)}
    figures = StoreFigures(accounts, {0: now_us, 1: now_us - 60_000_000, 2: now_us}, {})
    spans = {at: Span(0, 10) for at in range(4)}
    found = scene.probe.assess(figures, spans)
    assert [at.verdict for at in found.partitions] == [Verdict.OK, Verdict.SILENT, Verdict.OK, Verdict.LATE]
    assert found.verdict is Verdict.LATE, "partition 3 holds records, and nobody has ever applied one"
    assert found.canary_age_s_max == 60.0


def test_what_compaction_took_away_waits_for_nobody() -> None:
    scene = Scene()
    found = scene.probe.assess(StoreFigures({}, {}, {}), {0: Span(50, 50)})
    assert found.partitions[0].behind == 0


def test_a_topic_that_was_made_anew_has_nothing_that_waits() -> None:
    scene = Scene()
    scene.end = 3
    assert scene.look().partitions[0].behind == 0


def test_lags_are_summed_up_by_stage() -> None:
    counts = [0] * (len(EDGES_MS) + 1)
    counts[4], counts[-1] = 98, 2
    figures = StoreFigures({}, {}, {"feed": LagHistogram(tuple(counts), 5000), "source": LagHistogram()})
    lags = Scene().probe.assess(figures, {}).lags
    assert (lags["feed"].records, lags["feed"].p50_ms, lags["feed"].p99_ms) == (100, 20, float("inf"))
    assert lags["source"].p50_ms is None


@pytest.mark.parametrize(("name", "value"), [("LATE", "1"), ("LATE", "x"), ("STALLED", "4"), ("STALLED", "3601")])
def test_limits_that_cannot_be_used(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=f"ICACHE_FRESHNESS_{name}_S is '{value}'"):
        freshness_limits(Environment({f"ICACHE_FRESHNESS_{name}_S": value}))
