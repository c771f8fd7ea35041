"""A look at a deployment of which no part is there: it takes the deadline, and each part is a red tile."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime

from instrument_cache.doctor import Finding
from instrument_cache.overview.service import Overviews
from instrument_cache.settings import Environment
from tests.servers import free_port, wait_until


def nowhere() -> Environment:
    url = f"http://127.0.0.1:{free_port()}"
    return Environment(
        {
            "ICACHE_REDIS_URL": f"redis://127.0.0.1:{free_port()}/0",
            "ICACHE_KAFKA_BOOTSTRAP": f"127.0.0.1:{free_port()}",
            "ICACHE_FLINK_URL": url,
            "ICACHE_S3_ENDPOINT": url,
            "ICACHE_S3_ACCESS_KEY": "a",
            "ICACHE_S3_SECRET_KEY": "b",
            "ICACHE_FEED_STATE_FILE": "/nowhere/feed.json",
            "ICACHE_PAGE_DEADLINE_MS": "500",
        }
    )


def test_who_is_away_is_red_and_costs_no_more_than_the_deadline() -> None:
    overviews = Overviews(nowhere(), examine=list)
    began_s = time.monotonic()
    found = overviews.look()
    assert time.monotonic() - began_s < 10
    assert {tile.part for tile in found.tiles} == {"redis", "kafka", "flink", "reports", "backup:first", "feed"}
    assert {tile.severity for tile in found.tiles} == {found.severity} == {"red"}
    assert all(tile.mend for tile in found.tiles)


def test_a_doctor_that_takes_long_holds_up_nobody_and_is_shown_when_it_has_spoken() -> None:
    spoken = threading.Event()

    def examine() -> list[Finding]:
        spoken.wait(30)
        return [Finding("redis", "warn", "It is slow."), Finding("kafka", "ok", "Well.")]

    overviews = Overviews(nowhere(), examine=examine)
    assert (overviews.look().findings, overviews.look().examined_at) == ((), "")
    now = datetime.now(UTC)
    spoken.set()
    wait_until(lambda: [each.sentence for each in overviews.look().findings] == ["It is slow."], 30, what="the doctor")
    assert [each.sentence for each in overviews.look().well] == ["Well."]
    assert datetime.fromisoformat(overviews.look().examined_at) <= now, "it is of when it began to look"


def test_the_first_look_has_the_word_of_a_doctor_that_is_quick() -> None:
    overviews = Overviews(nowhere(), examine=lambda: [Finding("redis", "red", "It is away.")])
    assert [each.sentence for each in overviews.look().findings] == ["It is away."]
