"""What each tile says of each state, and that a part that is away is a red tile."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from instrument_cache.account import PartitionAccount
from instrument_cache.asking.parts import Away
from instrument_cache.dead_letters.statistics import Statistics
from instrument_cache.feed_state import FeedState
from instrument_cache.flink_rest import Job, JobDetail
from instrument_cache.freshness import Freshness, PartitionFreshness, Verdict
from instrument_cache.overview import stream_tiles
from instrument_cache.overview.answers import Answers
from instrument_cache.overview.backup_tiles import RegionLook, backup_tile
from instrument_cache.overview.model import Tile, tiles_red_first
from instrument_cache.overview.operation_tiles import operation_tiles
from instrument_cache.overview.stream_tiles import JobLook
from instrument_cache.overview.words import milliseconds_text, number_text, span_text
from instrument_cache.reject_gate import RejectAlarm
from instrument_cache.reports import Report, Summary

NOW = datetime(2025, 11, 21, 12, tzinfo=UTC)


def job(state: str = "RUNNING") -> Job:
    return Job("0123456789abcdef", "instrument-cache.instruments.v1", state, 0, 1000)


def detail(state: str = "RUNNING") -> JobDetail:
    return JobDetail("0123456789abcdef", "instrument-cache.instruments.v1", state, 0, 7_200_000, 2)


@pytest.mark.parametrize(
    ("look", "severity", "sentence"),
    [
        (JobLook([job()], detail(), 10), "ok", "Exactly one job runs"),
        (JobLook([job()], detail(), 130), "warn", "no checkpoint for 2 min"),
        (JobLook([job()], detail(), 400), "red", "no checkpoint for 7 min"),
        (JobLook([job("RESTARTING")], detail("RESTARTING")), "red", "The job is RESTARTING"),
        (JobLook([job(), job()]), "red", "More than one job"),
        (JobLook([], failure="ValueError: <script>"), "red", "The last one failed: ValueError: <script>."),
    ],
)
def test_exactly_one_job_must_run(look: JobLook, severity: str, sentence: str) -> None:
    tile = stream_tiles.job_tile(look)
    assert tile.severity == severity
    assert sentence in tile.sentence
    assert (tile.mend == "") == (severity == "ok")


@pytest.mark.parametrize(
    ("verdict", "severity"),
    [(Verdict.OK, "ok"), (Verdict.LATE, "warn"), (Verdict.SILENT, "warn"), (Verdict.STALLED, "red")],
)
def test_the_lag_has_the_colour_of_its_verdict(verdict: Verdict, severity: str) -> None:
    partition = PartitionFreshness(partition=0, next=5, end=9, behind=4, verdict=verdict)
    found = Freshness(
        dataset="instruments", at_us=0, verdict=verdict, message="So it is.", canary_age_s_max=1.26,
        partitions=(partition,), lags={},
    )  # fmt: skip
    tile = stream_tiles.freshness_tile(found)
    assert (tile.severity, tile.value, tile.sentence) == (severity, "1.3 s", "So it is.")
    assert (tile.facts[0].name, tile.facts[0].value) == ("Records behind", "4")


def test_rejects_are_red_only_with_an_alarm() -> None:
    accounts = {0: PartitionAccount(0, applied=90, rejected=5), 1: PartitionAccount(1, applied=5)}
    quiet = stream_tiles.rejects_tile(accounts, None)
    assert (quiet.severity, quiet.value) == ("ok", "5 %")
    loud = stream_tiles.rejects_tile(accounts, RejectAlarm(0, 900, 1000, 0.9, "malformed_json"))
    assert loud.severity == "red"
    assert "900 of 1,000 records were rejected (since 00:00 UTC), such as: malformed_json" in loud.sentence
    assert loud.dag == "dead_letter_replay"


def test_dead_letters_wait_for_somebody() -> None:
    found = Statistics(letters=3)
    found.by_state.update({"open": 2, "replayed": 1})
    tile = stream_tiles.letters_tile(found)
    assert (tile.severity, tile.value) == ("warn", "2")


def test_a_feed_that_does_not_hear_its_source_is_red() -> None:
    now_us = int(NOW.timestamp() * 1e6)
    assert stream_tiles.feed_tile(FeedState(phase="live", heard_at=now_us), NOW).severity == "ok"
    assert stream_tiles.feed_tile(FeedState(phase="live", heard_at=now_us, sweep_refused=4), NOW).severity == "warn"
    assert stream_tiles.feed_tile(FeedState(phase="live", heard_at=now_us - 31_000_000), NOW).severity == "red"


def summary(ok: bool = True, hours: float = 0.0, **numbers: float) -> Summary:
    return Summary("run-1", (NOW - timedelta(hours=hours)).isoformat(), ok, "So it went.", numbers)


def tile(name: str, summaries: dict[str, Summary], trends: Any = ()) -> Tile:
    return next(tile for tile in operation_tiles(summaries, {name: trends}, NOW) if tile.part == name)


@pytest.mark.parametrize(
    ("found", "severity", "mend"),
    [
        (summary(), "ok", ""),
        (summary(hours=3), "warn", "The proof is 3 h old. See why cache_reconcile did not run, and start it."),
        (summary(hours=7), "red", "The proof is 7 h old. See why cache_reconcile did not run, and start it."),
        (summary(ok=False), "red", "Read the report, mend its cause and start cache_reconcile again."),
    ],
)
def test_a_proof_grows_old(found: Summary, severity: str, mend: str) -> None:
    equality = tile("reconcile", {"reconcile": found})
    assert (equality.severity, equality.mend) == (severity, mend)


def test_what_never_ran_is_not_proved() -> None:
    tiles = {tile.part: tile for tile in operation_tiles({}, {}, NOW)}
    assert {"reconcile", "slo_report", "failover_drill", "dr_drill"} <= set(tiles)
    assert {tile.severity for tile in tiles.values()} == {"warn"}


def test_an_operation_that_nobody_thought_of_is_shown_too() -> None:
    other = tile("secret_rotation", {"secret_rotation": summary(hours=900)})
    assert (other.title, other.severity, other.dag) == ("Secret rotation", "ok", "secret_rotation")


def test_almost_equal_is_not_rounded_up() -> None:
    assert tile("reconcile", {"reconcile": summary(equal_ratio=0.99999999)}).value == "99.9999 %"
    assert tile("reconcile", {"reconcile": summary(equal_ratio=1.0)}).value == "100 %"


def drill(at: int, run_id: str, ok: bool = True, **numbers: float) -> Report:
    targets = {"targets": {"rto_s_max": 120}}
    return Report("instruments", "dr_drill", run_id, f"2025-11-{at:02}T06:00:00+00:00", "", ok, "", numbers, targets)


def test_a_drill_over_time_with_its_target_and_its_report() -> None:
    runs = [
        drill(7, "scheduled__a", rto_s=20, rpo_s=1),
        drill(14, "b", ok=False, rto_s=130),
        drill(21, "run-1", rto_s=9),
    ]
    found = tile("dr_drill", {"dr_drill": summary(rto_s=9)}, runs)
    assert found.report == "reports/dr_drill/2025-11-21/run-1"
    assert tile("dr_drill", {"dr_drill": summary(rto_s=9)}, runs[:2]).report == "runs/dr_drill/run-1"
    assert [plot.title for plot in found.plots] == ["RTO: until the region served"]
    assert ([(point.value, point.ok) for point in found.plots[0].points], found.plots[0].limit) == (
        [(20, True), (130, False), (9, True)],
        120.0,
    )


def test_a_region_without_a_good_backup_is_red() -> None:
    assert backup_tile(RegionLook("second", None), NOW).severity == "red"
    refused = backup_tile(RegionLook("second", None, "it is altered"), NOW)
    assert (refused.part, refused.sentence) == ("backup:second", "it is altered")


def test_who_does_not_answer_is_a_red_tile_and_red_comes_first() -> None:
    answers = Answers({"redis": Away("refused"), "backup:second": Away("late"), "kafka": {0: 1}}, NOW)
    assert [(tile.title, tile.sentence) for tile in answers.away()] == [
        ("Redis", "refused"),
        ("Backups in the second region", "late"),
    ]
    ok = stream_tiles.job_tile(JobLook([job()], detail(), 10))
    assert [tile.part for tile in tiles_red_first([ok, *answers.away()])] == ["redis", "backup:second", "job"]


def test_words() -> None:
    assert [span_text(seconds) for seconds in (-1, 5, 600, 9000, 900_000)] == ["0 s", "5 s", "10 min", "2 h", "10 days"]
    assert [number_text(number) for number in (1234567, 0.25)] == ["1,234,567", "0.25"]
    assert [milliseconds_text(each) for each in (None, 50, float("inf"))] == ["none yet", "≤ 50 ms", "> 5 min"]
