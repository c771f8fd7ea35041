"""What a scrape says of a dataset, and what it says when parts are away, hang or answer nonsense."""

from __future__ import annotations

import threading
import time
from typing import Any

import httpx
import pytest

from instrument_cache.asking.parts import Part, SlowPart
from instrument_cache.change import Outcome
from instrument_cache.errors import LogUnavailable, StoreUnavailable
from instrument_cache.freshness import StoreFigures
from instrument_cache.lag import EDGES_MS
from tests.servers import wait_until
from tests.unit.exporter.scene import FIGURES, Samples, checked, collector, scrape, served


@pytest.fixture(scope="module")
def seen() -> Samples:
    with served(collector()) as url:
        return scrape(url).samples


def test_the_account_by_partition_and_outcome(seen: Samples) -> None:
    of_partition_0 = {
        key[1]: value for key, value in seen.items() if key[0] == "icache_changes_total" and key[2] == "0"
    }
    assert of_partition_0 == dict(zip(map(str, Outcome), (60, 20, 10, 5, 5), strict=True))
    assert seen["icache_changes_total", "applied", "1"] == 50
    assert seen["icache_change_ties_total", "0"] == 3
    assert seen["icache_changes_replayed_total", "0"] == 7
    assert seen["icache_offsets_skipped_total", "0"] == 10


def test_offsets_and_lag_by_partition(seen: Samples) -> None:
    assert [seen[f"icache_{name}", "0"] for name in ("log_start_offset", "next_offset", "log_end_offset")] == [
        5,
        115,
        120,
    ]
    assert (seen["icache_lag_records", "0"], seen["icache_lag_records", "1"]) == (5, 0)


def test_freshness(seen: Samples) -> None:
    assert seen["icache_canary_age_seconds", "0"] == 0.8
    assert ("icache_canary_age_seconds", "1") not in seen, "there was none"
    assert seen["icache_standing_seconds", "0"] == 0
    assert {key[1]: value for key, value in seen.items() if key[0] == "icache_freshness"} == {
        "ok": 0, "silent": 1, "late": 0, "unknown": 0, "stalled": 0,
    }  # fmt: skip
    assert seen[("icache_stalled_job",)] == 1


def test_the_lag_is_a_histogram_of_prometheus(seen: Samples) -> None:
    name = "icache_record_lag_seconds"
    by_edge = {key[1]: value for key, value in seen.items() if key[0] == f"{name}_bucket" and key[2] == "feed"}
    assert list(by_edge) == [*(f"{edge_ms / 1000:g}" for edge_ms in EDGES_MS), "+Inf"]
    assert list(by_edge.values()) == [0, 0, 4, 7, *[7] * (len(EDGES_MS) - 4), 9]
    assert seen[f"{name}_count", "feed"] == 9
    assert seen[f"{name}_sum", "feed"] == 12.345
    assert seen[f"{name}_count", "source"] == 0


def test_alarm_keys_and_feed(seen: Samples) -> None:
    assert (seen[("icache_reject_alarm",)], seen[("icache_reject_alarm_ratio",)]) == (1, 0.9)
    assert seen[("icache_redis_keys",)] == 4711
    assert (seen["icache_feed_phase", "live"], seen["icache_feed_phase", "disconnected"]) == (1, 0)
    counts = ("position", "rows", "sent_total", "unchanged_total", "swept_total", "sweep_refused")
    assert [seen[(f"icache_feed_{name}",)] for name in counts] == [9, 8, 7, 6, 5, 4]
    ages = ("heard_seconds", "canary_seconds", "source_change_seconds")
    assert [seen[(f"icache_feed_{name}",)] for name in ages] == [0.25, 0.5, 3.0]


def test_the_newest_report_of_an_operation(seen: Samples) -> None:
    assert seen["icache_operation_last_finished_seconds", "reconcile"] == 1_763_674_000
    assert seen["icache_operation_last_ok", "reconcile"] == 1
    assert seen["icache_operation_number", "equal_ratio", "reconcile"] == 0.5


def test_every_part_is_up_and_the_process_is_measured(seen: Samples) -> None:
    assert {key[1]: value for key, value in seen.items() if key[0] == "icache_up"} == {
        "redis": 1,
        "kafka": 1,
        "feed": 1,
    }
    assert 0 <= seen[("icache_scrape_seconds",)] < 1
    assert seen[("process_resident_memory_bytes",)] > 0


def away(error: Exception) -> Any:
    def ask() -> None:
        raise error

    return ask


AWAY = {"redis": StoreUnavailable("gone"), "kafka": LogUnavailable("gone"), "feed": ZeroDivisionError()}
ONLY = {"redis": "icache_redis_keys", "kafka": "icache_log_end_offset", "feed": "icache_feed_position"}


@pytest.mark.parametrize("part", AWAY)
def test_a_part_that_is_away_is_told_and_the_others_are_there(part: str) -> None:
    with served(collector(**{part: away(AWAY[part])})) as url:
        for _ in range(2):
            found = scrape(url).samples
            for name, metric in ONLY.items():
                assert found["icache_up", name] == (name != part)
                assert any(key[0] == metric for key in found) == (name != part)


def test_without_kafka_the_canaries_still_tell_the_freshness() -> None:
    fresh = StoreFigures({0: FIGURES.store.accounts[0]}, {0: FIGURES.store.canary_at_us[0]}, {})
    figures = type(FIGURES)(fresh, None, None, 0, {})
    with served(collector(redis=lambda: figures, kafka=away(LogUnavailable("gone")))) as url:
        found = scrape(url).samples
    assert found["icache_freshness", "ok"] == 1
    assert ("icache_lag_records", "0") not in found
    assert (found[("icache_reject_alarm",)], found[("icache_stalled_job",)]) == (0, 0)


def test_with_everything_away_the_scrape_still_answers() -> None:
    questions = {name: away(error) for name, error in AWAY.items()}
    with served(collector(**questions)) as url:
        assert {key[1]: value for key, value in scrape(url).samples.items() if key[0] == "icache_up"} == {
            "redis": 0, "kafka": 0, "feed": 0,
        }  # fmt: skip


def test_a_part_that_hangs_costs_the_deadline_and_one_thread() -> None:
    released, asked = threading.Event(), []

    def hang() -> None:
        asked.append(1)
        released.wait(30)

    with served(collector(deadline_s=0.2, kafka=hang)) as url:
        for _ in range(4):
            began = time.monotonic()
            found = scrape(url).samples
            assert time.monotonic() - began < 1.0
            assert found["icache_up", "kafka"] == 0
            assert found["icache_up", "redis"] == 1
        assert len(asked) == 1, "no further question while the first is not answered"
        released.set()


def test_what_the_account_check_found_by_kind(seen: Samples) -> None:
    assert {key[1]: value for key, value in seen.items() if key[0] == "icache_account_wrong_offsets"} == {
        "gap": 4, "excess": 0, "sum": 0,
    }  # fmt: skip


def test_a_check_that_takes_long_holds_up_no_scrape_and_is_asked_again_in_time() -> None:
    released, asked = threading.Event(), []

    def check() -> list[Any]:
        asked.append(1)
        released.wait(30)
        return []

    slow = SlowPart(Part("account-check", check), every_s=0.2)
    with served(collector(check=slow)) as url:
        for _ in range(3):
            assert not any(key[0] == "icache_account_wrong_offsets" for key in scrape(url).samples)
        assert len(asked) == 1
        released.set()
        wait_until(lambda: ("icache_account_wrong_offsets", "gap") in scrape(url).samples, 5)
        wait_until(lambda: scrape(url) and len(asked) >= 3, 5, what="the next checks")


def test_a_check_that_fails_is_no_finding() -> None:
    with served(collector(check=checked(away(LogUnavailable("gone"))))) as url:
        assert not any(key[0] == "icache_account_wrong_offsets" for key in scrape(url).samples)


def test_health_and_paths_that_are_not_there() -> None:
    with served(collector(redis=away(StoreUnavailable("gone")))) as url:
        health = httpx.get(f"{url}/healthz", trust_env=False)
        assert (health.status_code, health.text) == (200, "ok\n")
        assert httpx.get(f"{url}/", trust_env=False).status_code == 404
        assert httpx.post(f"{url}/metrics", trust_env=False).status_code == 501


def test_scrapers_that_ask_for_openmetrics_get_it() -> None:
    with served(collector()) as url:
        answer = httpx.get(f"{url}/metrics", headers={"Accept": "application/openmetrics-text"}, trust_env=False)
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    assert answer.text.endswith("# EOF\n")
