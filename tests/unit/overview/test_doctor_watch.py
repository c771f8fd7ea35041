"""The doctor's rounds behind the page: the newest word, and what is over but was seen a short while ago."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime

from instrument_cache.doctor import Finding
from instrument_cache.errors import SettingsError
from instrument_cache.overview.doctor_watch import DoctorWatch, Examined
from tests.servers import wait_until

FULL = Finding("redis", "red", "Redis uses 2 GB of its 1 GB.", "the data has outgrown the limit", "make room")
SLOW = Finding("redis", "warn", "Redis takes 80 ms to answer.", "a command blocks Redis", "slowlog get")
WELL = Finding("kafka", "ok", "Kafka answers.")
SOON_S = 0.02


def of(found: list[Finding]) -> Callable[[], list[Finding]]:
    """A doctor who finds what the list holds at the time."""
    return lambda: [*found]


def word(watch: DoctorWatch) -> Examined:
    found = watch.word(30)
    assert found is not None
    return found


def test_the_first_word_is_waited_for_and_is_of_the_moment_at_which_the_look_began() -> None:
    before = datetime.now(UTC)
    found = word(DoctorWatch(of([WELL, FULL])))
    assert found.findings == (FULL, WELL)
    assert before <= found.at <= datetime.now(UTC)


def test_a_doctor_that_takes_long_holds_up_nobody() -> None:
    spoken = threading.Event()
    watch = DoctorWatch(lambda: [WELL] if spoken.wait(30) else [])
    assert watch.word() is None
    assert watch.word(0.1) is None
    spoken.set()
    assert word(watch).findings == (WELL,)


def test_what_is_over_is_told_each_kind_by_itself() -> None:
    found = [FULL, SLOW]
    watch = DoctorWatch(of(found), SOON_S)
    assert word(watch).past == ()
    found.remove(FULL)
    wait_until(lambda: [each.finding for each in word(watch).past] == [FULL], what="what is over")
    assert word(watch).findings == (SLOW,)
    assert datetime.fromisoformat(word(watch).past[0].seen_at) <= word(watch).at


def test_what_was_over_long_ago_is_forgotten() -> None:
    found = [FULL]
    watch = DoctorWatch(of(found), SOON_S, past_s=0.3)
    assert word(watch).findings == (FULL,)
    found.clear()
    wait_until(lambda: word(watch).findings == () and word(watch).past == (), what="what is forgotten")


def test_what_comes_back_is_no_longer_over() -> None:
    found = [FULL]
    watch = DoctorWatch(of(found), SOON_S)
    assert word(watch).findings == (FULL,)
    found.clear()
    wait_until(lambda: word(watch).past, what="what is over")
    found.append(FULL)
    wait_until(lambda: word(watch).findings == (FULL,) and word(watch).past == (), what="what is back")


def test_it_looks_only_while_somebody_asks_and_tells_nothing_of_hours_ago() -> None:
    looks: list[int] = []
    go_on = threading.Event()

    def examine() -> list[Finding]:
        looks.append(1)
        return [FULL] if len(looks) == 1 or go_on.wait(30) else []

    watch = DoctorWatch(examine, SOON_S, idle_s=0.0)
    assert word(watch).findings == (FULL,)
    wait_until(lambda: watch.word() is None, what="a watch that has ended")
    go_on.set()
    assert word(watch).findings == (FULL,)


def test_a_doctor_who_fails_has_not_spoken_and_is_asked_again() -> None:
    looks: list[int] = []

    def examine() -> list[Finding]:
        looks.append(1)
        if len(looks) == 1:
            raise SettingsError("ICACHE_DOCTOR_DEADLINE_S must be a number")
        return [WELL]

    assert word(DoctorWatch(examine, SOON_S)).findings == (WELL,)
