"""One call for many, a breaker, and the settings."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from instrument_cache.errors import SettingsError, SourceUnavailable
from instrument_cache.settings import Environment
from lookup_app.fallback.breaker import FAILURES_MAX, PAUSE_S, Breaker
from lookup_app.fallback.read_through import ReadThrough
from lookup_app.fallback.settings import fallback_settings
from lookup_app.fallback.single_flight import SingleFlight
from lookup_app.fallback.source import SourceRow

URL = "http://127.0.0.1:1/v1/topics/{dataset}/rows/{key}"


def test_those_who_come_while_it_runs_share_the_call() -> None:
    flights: SingleFlight[int] = SingleFlight(10)
    entered, go_on, calls = threading.Event(), threading.Event(), []

    def call() -> int:
        calls.append(1)
        entered.set()
        assert go_on.wait(10)
        return 7

    with ThreadPoolExecutor(50) as pool:
        asked = [pool.submit(flights.run, "k", call)]
        assert entered.wait(10)
        asked += [pool.submit(flights.run, "k", call) for _ in range(49)]
        assert flights.run("another", lambda: 8) == 8
        go_on.set()
        assert {future.result(10) for future in asked} == {7}
    assert flights.run("k", lambda: 9) == 9


def test_a_failure_is_shared_and_not_kept() -> None:
    flights: SingleFlight[int] = SingleFlight(10)

    def fail() -> int:
        raise SourceUnavailable("away")

    with pytest.raises(SourceUnavailable, match="away"):
        flights.run("k", fail)
    assert flights.run("k", lambda: 1) == 1


def test_a_follower_waits_no_longer_than_it_may() -> None:
    flights: SingleFlight[int] = SingleFlight(0.01)
    entered, go_on = threading.Event(), threading.Event()

    def call() -> int:
        entered.set()
        assert go_on.wait(10)
        return 1

    leader = threading.Thread(target=flights.run, args=("k", call))
    leader.start()
    assert entered.wait(10)
    with pytest.raises(SourceUnavailable, match=r"0\.01 s"):
        flights.run("k", lambda: 2)
    go_on.set()
    leader.join(10)


class Failing:
    """Fails while it is `away`, on a clock of its own."""

    def __init__(self) -> None:
        self.now_s, self.away, self.calls = 100.0, True, 0
        self.breaker = Breaker(1, lambda: self.now_s)

    def __call__(self) -> int:
        self.calls += 1
        if self.away:
            raise SourceUnavailable("away")
        return 1

    def ask(self, times: int) -> None:
        for _ in range(times):
            with pytest.raises(SourceUnavailable):
                self.breaker.call(self)


def test_after_failures_in_a_row_one_call_per_pause_is_let_through() -> None:
    source = Failing()
    source.ask(50)
    assert source.calls == FAILURES_MAX
    source.now_s += PAUSE_S
    source.ask(50)
    assert source.calls == FAILURES_MAX + 1
    source.now_s += PAUSE_S
    source.away = False
    assert [source.breaker.call(source) for _ in range(10)] == [1] * 10


def test_single_failures_close_nothing() -> None:
    source = Failing()
    for _ in range(10):
        source.away = True
        source.ask(FAILURES_MAX - 1)
        source.away = False
        assert source.breaker.call(source) == 1


def test_more_calls_than_may_run_are_refused_at_once() -> None:
    breaker = Breaker(1)

    def call() -> None:
        with pytest.raises(SourceUnavailable, match="at once"):
            breaker.call(lambda: None)

    breaker.call(call)
    breaker.call(lambda: None)


class Rows:
    """A source with nothing in it, that counts."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def row(self, key: str) -> SourceRow | None:
        self.asked.append(key)
        return None


def test_a_miss_of_the_source_is_remembered_for_a_while() -> None:
    now_s, rows = [0.0], Rows()
    reads = ReadThrough(rows, lambda key, row: b"", Breaker(1), 1, 10, lambda: now_s[0])
    assert [reads.read("a") for _ in range(5)] == [None] * 5
    assert rows.asked == ["a"]
    now_s[0] = 10.0
    assert reads.read("a") is None
    assert rows.asked == ["a", "a"]


def test_it_is_off_by_default() -> None:
    assert fallback_settings(Environment({})) is None


def test_the_token_is_not_shown() -> None:
    settings = fallback_settings(
        Environment({"ICACHE_LOOKUP_FALLBACK_URL": URL, "ICACHE_LOOKUP_FALLBACK_TOKEN": "secret"})
    )
    assert settings is not None
    assert settings.token == "secret"
    assert "secret" not in repr(settings)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ICACHE_LOOKUP_FALLBACK_URL", "ftp://a/{key}"),
        ("ICACHE_LOOKUP_FALLBACK_URL", "http:///{key}"),
        ("ICACHE_LOOKUP_FALLBACK_URL", "http://a/rows"),
        ("ICACHE_LOOKUP_FALLBACK_TIMEOUT_MS", "0"),
        ("ICACHE_LOOKUP_FALLBACK_NEGATIVE_S", "soon"),
        ("ICACHE_LOOKUP_FALLBACK_CALLS_MAX", "65"),
    ],
)
def test_a_bad_setting_is_named(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=f"{name} is '.*it must be"):
        fallback_settings(Environment({"ICACHE_LOOKUP_FALLBACK_URL": URL, name: value}))
